/**
 * Where to stream a trace to: a relay's two connections, from one address or from one for each. Source: LTTng's
 * network consumer RFC: control is always TCP, data may take another way, a list of hops may stand in front.
 */
import { parseUri, type RelayUri, type Uri, type UriOptions } from './uri.ts';
import { defaultPorts, type Family, UriText } from './uri-parts.ts';

/** One connection. `host`: name or address, without brackets. */
export interface RelayEndpoint {
  host: string;
  port: number;
  family: Family;
}

/** A relay. */
export interface RelayTarget {
  control: RelayEndpoint;
  data: RelayEndpoint & { transport: 'tcp' | 'udp' };
  /** Base path of the session there, as it was typed; empty for none. */
  path: string;
}

/**
 * The relay that `control` and `data` name: two addresses of one connection each (`-C tcp://…`, `-D tcp://…` or
 * `udp://…`), or `net://…` for both. As in `lttng`, a path with `data` alone is of no account. Throws
 * MR_ERR_NETWORK_URI.
 */
export function relayTarget(control: Uri, data?: Uri): RelayTarget {
  if (control.kind === 'endpoint' && data === undefined)
    return refuse(control, 'names one connection only; give control (-C) and data (-D), or net://HOST');
  if (control.kind === 'endpoint' && control.transport === 'udp')
    return refuse(control, 'the control connection is always TCP; udp:// is for data (-D)');
  const to: RelayTarget = {
    control: endpointOf(control, 'control'),
    data: { ...endpointOf(data ?? control, 'data'), transport: transportOf(data ?? control) },
    path: 'path' in control ? control.path : '',
  };
  const alike = to.control.host === to.data.host && to.control.port === to.data.port;
  if (alike && to.control.port !== 0 && to.data.transport === 'tcp')
    return refuse(data ?? control, `control and data have the same port ${to.control.port}`);
  return to;
}

/** `tcp://…,udp://…` where one word is wanted: the addresses of control and data apart; else the word alone. */
export function splitEndpoints(text: string): string[] {
  return text.split(/,(?=(?:tcp|udp)[46]?:\/\/)/i);
}

/** `HOP1,HOP2,URI`: the relays on the way, and the end of it. Throws MR_ERR_NETWORK_URI. */
export function parseHops(text: string, options: UriOptions = {}): { hops: RelayUri[]; to: Uri } {
  // a comma may stand in a path: one that divides has another address behind it
  const words = text.split(/,(?=[a-z][a-z0-9+.-]*:\/\/)/i);
  const last = words.pop() as string;
  const hops = words.map((word) => {
    const hop = parseUri(word, options);
    return hop.kind === 'relay' ? hop : refuse(hop, 'a hop is a relay: net://HOST or net6://HOST');
  });
  return { hops, to: parseUri(last, options) };
}

function endpointOf(uri: Uri, role: 'control' | 'data'): RelayEndpoint {
  if (uri.kind === 'relay') {
    const port = role === 'control' ? uri.controlPort : uri.dataPort;
    return { host: uri.host, port, family: uri.family };
  }
  if (uri.kind === 'endpoint')
    return { host: uri.host, port: uri.port ?? defaultPorts[role], family: uri.family };
  const also = role === 'data' ? ', udp://, udp6://' : '';
  return refuse(uri, `no relay: expected net://, net6://, tcp://, tcp6://${also}`);
}

function transportOf(uri: Uri): 'tcp' | 'udp' {
  return uri.kind === 'endpoint' ? uri.transport : 'tcp';
}

function refuse(uri: Uri, why: string): never {
  return new UriText(uri.text).fail(why);
}
