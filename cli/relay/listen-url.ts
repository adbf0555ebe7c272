/**
 * Where to listen, as users of lttng-relayd write it: `tcp://HOST[:PORT]`, `tcp4://`, `tcp6://[ADDRESS]:PORT`.
 * Source: relay-protocol, "URLs and daemon options"; `net://` and a path behind the port are taken as
 * lttng-relayd takes them, trailing characters in a port are not.
 */
import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { type ListenAddress, UriText } from '../../lib/index.ts';
import { usageError } from '../usage.ts';

export interface ListenUrl {
  family: 4 | 6;
  /** Name or address, without brackets. */
  host: string;
  port: number;
}

const families = {
  tcp: new Map<string, 4 | 6>([
    ['tcp', 4],
    ['tcp4', 4],
    ['tcp6', 6],
    ['net', 4],
    ['net4', 4],
    ['net6', 6],
  ]),
  udp: new Map<string, 4 | 6>([
    ['udp', 4],
    ['udp4', 4],
    ['udp6', 6],
  ]),
} as const;

/** Reads one URL; `defaultPort` where it names none. Throws `MR_ERR_NETWORK_URI` with reason and position. */
export function parseListenUrl(
  url: string,
  defaultPort: number,
  transport: 'tcp' | 'udp' = 'tcp',
): ListenUrl {
  const from = new UriText(url);
  const scheme = from.scheme();
  const family = families[transport].get(scheme ?? '');
  if (family === undefined) {
    const known = ['', '4', '6'].map((version) => `${transport}${version}://`).join(', ');
    return from.fail(`unknown protocol, expected ${known}`, 0);
  }
  const host = from.host(family, transport);
  const [port = defaultPort] = from.ports(1, 0);
  return { family, host, port };
}

/**
 * Turns the host into an address of the URL's family, so that `localhost` means one address wherever it runs.
 * Rejects `MR_ERR_USAGE` for a name that has none.
 */
export async function resolveListenUrl({ family, host, port }: ListenUrl): Promise<ListenAddress> {
  if (host === 'localhost') return { host: family === 4 ? '127.0.0.1' : '::1', port };
  if (isIPv4(host) || isIPv6(host)) return { host, port };
  try {
    return { host: (await lookup(host, { family })).address, port };
  } catch (error) {
    throw usageError(`"${host}" has no IPv${family} address`, error);
  }
}
