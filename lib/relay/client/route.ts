/** The way to a relay, from its address: both ends of the connections, and the hops that stand in front. */
import type { Address } from '../../network/address.ts';
import { parseHops, relayTarget } from '../../network/relay-target.ts';
import { parseUri } from '../../network/uri.ts';

export interface Route {
  /** As it was given. */
  uri: string;
  control: Address;
  data: Address & { transport?: 'tcp' | 'udp' };
  /** Base path of sessions at the end; empty for none. */
  path: string;
  /** What the relay at `control` is asked to pass sessions on to; undefined: it is the end. */
  via: string | undefined;
}

/**
 * Reads `net://HOST…`, `HOP1,HOP2,URI`, or control and data apart with a blank between. Throws MR_ERR_NETWORK_URI.
 */
export function parseRoute(uri: string): Route {
  const [first = '', second] = uri.split(' ');
  if (second !== undefined) {
    const { control, data, path } = relayTarget(parseUri(first), parseUri(second));
    return { uri, control, data, path, via: undefined };
  }
  const { hops, to } = parseHops(first);
  const end = relayTarget(to);
  const [hop, ...more] = hops;
  if (hop === undefined) return { uri, control: end.control, data: end.data, path: end.path, via: undefined };
  const { control, data } = relayTarget(hop);
  // A base path is for the end alone, which learns it from the last hop.
  return { uri, control, data, path: '', via: [...more.map(({ text }) => text), to.text].join(',') };
}
