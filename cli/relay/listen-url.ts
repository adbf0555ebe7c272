/**
 * Where to listen, as users of lttng-relayd write it: `tcp://HOST[:PORT]`, `tcp4://`, `tcp6://[ADDRESS]:PORT`.
 * Source: relay-protocol, "URLs and daemon options"; `net://` and a path behind the port are taken as
 * lttng-relayd takes them, trailing characters in a port are not.
 */
import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import type { ListenAddress } from '../../lib/index.ts';
import { usageError } from '../usage.ts';

export interface ListenUrl {
  family: 4 | 6;
  /** Name or address, without brackets. */
  host: string;
  port: number;
}

const families: ReadonlyMap<string, 4 | 6> = new Map([
  ['tcp', 4],
  ['tcp4', 4],
  ['tcp6', 6],
  ['net', 4],
  ['net4', 4],
  ['net6', 6],
]);

/** Reads one URL; `defaultPort` where it names none. Throws `MR_ERR_USAGE` with reason and position. */
export function parseListenUrl(url: string, defaultPort: number): ListenUrl {
  const fail = (at: number, why: string): never => {
    throw usageError(`"${url}": ${why} (at character ${at + 1})`);
  };
  const protocol = /^([a-z0-9+]+):\/\//i.exec(url)?.[1];
  const family = families.get(protocol?.toLowerCase() ?? '');
  if (protocol === undefined || family === undefined)
    return fail(0, 'unknown protocol, expected tcp://, tcp4:// or tcp6://');
  const start = protocol.length + 3;
  const slash = url.indexOf('/', start);
  const authority = url.slice(start, slash < 0 ? undefined : slash);
  const { host, rest } = splitHost(authority, (at, why) => fail(start + at, why));
  const restAt = start + authority.length - rest.length;
  if (family === 4 && isIPv6(host)) fail(start, `${host} is an IPv6 address, write tcp6://[${host}]`);
  if (family === 6 && isIPv4(host)) fail(start, `${host} is an IPv4 address, write tcp://${host}`);
  if (rest === '' || rest === ':') return { family, host, port: defaultPort };
  if (!rest.startsWith(':')) fail(restAt, `unexpected "${rest}" behind the address`);
  if (!/^:\d+$/.test(rest)) fail(restAt + 1, `"${rest.slice(1)}" is no port number`);
  const port = Number(rest.slice(1));
  if (port > 65_535) fail(restAt + 1, `port ${port} is larger than 65535`);
  return { family, host, port };
}

function splitHost(
  authority: string,
  fail: (at: number, why: string) => never,
): { host: string; rest: string } {
  if (authority.startsWith('[')) {
    const end = authority.indexOf(']');
    if (end < 0) return fail(0, 'the bracket of the IPv6 address is not closed');
    const host = authority.slice(1, end);
    if (!isIPv6(host)) fail(1, `"${host}" is no IPv6 address`);
    return { host, rest: authority.slice(end + 1) };
  }
  if (isIPv6(authority)) fail(0, `an IPv6 address stands in brackets: [${authority}]`);
  const colon = authority.indexOf(':');
  const host = colon < 0 ? authority : authority.slice(0, colon);
  if (host === '') fail(0, 'no host name or address');
  return { host, rest: colon < 0 ? '' : authority.slice(colon) };
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
