/** Addresses of disks. Source: the NBD URI standard (nbd-migration, "URIs"). */
import type { Address } from './address.ts';
import { defaultPorts, UriText } from './uri-parts.ts';

/** A disk: `nbd://[USER@]HOST[:PORT][/EXPORT]`, `nbds://`, `nbd+unix:///EXPORT?socket=PATH`, `nbds+unix://`. */
export interface NbdUri {
  kind: 'nbd';
  text: string;
  tls: boolean;
  address: Address;
  /** Decoded; empty: the server's default. */
  exportName: string;
  /** Decoded; undefined: none given. */
  user: string | undefined;
  /** What stands behind `?`, decoded; `socket` is not repeated here. */
  parameters: ReadonlyMap<string, string>;
}

/** Reads what stands behind `nbd://` or `nbds://`. */
export function nbd(from: UriText, tls: boolean, { listen }: { listen?: boolean }): NbdUri {
  const { user, rest } = splitUser(from);
  const host = rest.host(undefined, 'nbd');
  const [port = defaultPorts.nbd] = rest.ports(1, listen ? 0 : 1);
  const { exportName, parameters } = nbdExport(rest);
  return { kind: 'nbd', text: from.text, tls, address: { host, port }, exportName, user, parameters };
}

/** Reads what stands behind `nbd+unix://` or `nbds+unix://`. */
export function nbdUnix(from: UriText, tls: boolean): NbdUri {
  const { user, rest } = splitUser(from);
  if (rest.rest !== '' && !/^[/?]/.test(rest.rest))
    rest.fail('no host stands here: nbd+unix:///EXPORT?socket=PATH');
  const { exportName, parameters } = nbdExport(rest);
  const path = parameters.get('socket');
  if (!path) return from.fail('?socket=PATH is missing', from.text.length);
  const others = new Map([...parameters].filter(([name]) => name !== 'socket'));
  return { kind: 'nbd', text: from.text, tls, address: { path }, exportName, user, parameters: others };
}

function splitUser(from: UriText): { user: string | undefined; rest: UriText } {
  const found = /^[^/?@]*@/.exec(from.rest)?.[0];
  if (found === undefined) return { user: undefined, rest: new UriText(from.text, from.at, '/?') };
  const user = decoded(from, found.slice(0, -1), from.at);
  return { user, rest: new UriText(from.text, from.at + found.length, '/?') };
}

/** The export is the path without its first `/`. Source: nbd-migration, "URIs". */
function nbdExport(from: UriText): { exportName: string; parameters: Map<string, string> } {
  const start = from.at;
  const rest = from.take();
  const mark = rest.indexOf('?');
  const path = mark < 0 ? rest : rest.slice(0, mark);
  const query = mark < 0 ? '' : rest.slice(mark + 1);
  const parameters = new Map<string, string>();
  let at = start + path.length + 1;
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    if (equals < 1) from.fail(`"${pair}" is no NAME=VALUE`, at);
    parameters.set(pair.slice(0, equals), decoded(from, pair.slice(equals + 1), at + equals + 1));
    at += pair.length + 1;
  }
  return { exportName: decoded(from, path.slice(1), start + 1), parameters };
}

function decoded(from: UriText, text: string, at: number): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return from.fail(`"${text}" has a % that begins no encoded character`, at);
  }
}
