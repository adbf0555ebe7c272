/**
 * Addresses of traces and disks as users type them. Source: LTTng's network consumer RFC (proposal 3), `lttng create`
 * (relay-protocol, "URLs and daemon options"), babeltrace2's live URLs (live-protocol, "URL"), the NBD URI standard.
 *
 * A word without `SCHEME://` is a file name, but for `-` and `capture:FILE`; a scheme that nobody knows is refused.
 */
import { isAbsolute } from 'node:path';
import { limits } from '../limits.ts';
import { type NbdUri, nbd, nbdUnix } from './uri-nbd.ts';
import { defaultPorts, type Family, UriText } from './uri-parts.ts';

/** Both connections to a relay, over TCP: `net://HOST[:CTRL[:DATA]][/PATH]`, `net4://`, `net6://`. */
export interface RelayUri {
  kind: 'relay';
  text: string;
  family: Family;
  host: string;
  controlPort: number;
  dataPort: number;
  /** Behind the first `/`, as it was typed: the base path of the session; empty for none. */
  path: string;
}

/** One of the two apart: `tcp://HOST[:PORT][/PATH]`, `tcp6://`; the data connection also `udp://`, `udp6://`. */
export interface EndpointUri {
  kind: 'endpoint';
  text: string;
  transport: 'tcp' | 'udp';
  family: Family;
  host: string;
  /** undefined: the default of what it is for. */
  port: number | undefined;
  path: string;
}

/** A relay's live port, and a session there: `live://HOST[:PORT][/host/HOSTNAME/SESSION]`. */
export interface LiveUri {
  kind: 'live';
  text: string;
  /** undefined: whatever the host name has. */
  family: Family | undefined;
  host: string;
  port: number;
  /** undefined: no session is named, as for a listing. */
  target: { hostname: string; sessionName: string } | undefined;
}

/** A directory with a trace, or an image file: `file://PATH` or a bare one, absolute or not. */
export interface PathUri {
  kind: 'path';
  text: string;
  path: string;
}

/** A frame log in a file: `capture:FILE`. */
export interface CaptureUri {
  kind: 'capture';
  text: string;
  path: string;
}

/** A frame log on standard input or output: `-`. */
export interface StdioUri {
  kind: 'stdio';
  text: string;
}

/** What an address can be. `text` is what was typed. */
export type Uri = RelayUri | EndpointUri | LiveUri | PathUri | CaptureUri | StdioUri | NbdUri;

/** `listen`: port 0 is allowed, the system chooses. */
export interface UriOptions {
  listen?: boolean;
}

type Read = (from: UriText, options: UriOptions) => Uri;

/** Every scheme: which IP version or transport it stands for, and who reads the rest. */
const schemes = new Map<string, Read>([
  ['net', relay(4)],
  ['net4', relay(4)],
  ['net6', relay(6)],
  ['tcp', endpoint('tcp', 4)],
  ['tcp4', endpoint('tcp', 4)],
  ['tcp6', endpoint('tcp', 6)],
  ['udp', endpoint('udp', 4)],
  ['udp4', endpoint('udp', 4)],
  ['udp6', endpoint('udp', 6)],
  ['live', (from, options) => live(from, undefined, options)],
  ['file', file],
  ['nbd', (from, options) => nbd(from, false, options)],
  ['nbds', (from, options) => nbd(from, true, options)],
  ['nbd+unix', (from) => nbdUnix(from, false)],
  ['nbds+unix', (from) => nbdUnix(from, true)],
]);

/** Schemes that babeltrace2 knows for a live session; its `net6` is IPv4 all the same, ours is not. */
const liveSchemes = new Map<string, Family | undefined>([
  ['live', undefined],
  ['net', 4],
  ['net4', 4],
  ['net6', 6],
]);

/** Reads an address. Throws MR_ERR_NETWORK_URI with reason and position. */
export function parseUri(text: string, options: UriOptions = {}): Uri {
  const from = new UriText(text);
  if (text === '') from.fail('an address is missing');
  if (text === '-') return { kind: 'stdio', text };
  if (text.startsWith('capture:')) return capture(text);
  const scheme = from.scheme();
  if (scheme === undefined) return { kind: 'path', text, path: checkedPath(from, text) };
  const read = schemes.get(scheme);
  if (read !== undefined) return read(from, options);
  const known = [...schemes.keys()].map((name) => `${name}://`).join(', ');
  return from.fail(`unknown protocol, expected ${known} (a file of this name: ./${text})`, 0);
}

/** Reads a live session's address, also in babeltrace2's form `net://…`. Throws MR_ERR_NETWORK_URI. */
export function parseLiveUri(text: string): LiveUri {
  const from = new UriText(text);
  const scheme = from.scheme();
  if (scheme === undefined || !liveSchemes.has(scheme))
    return from.fail('unknown protocol, expected live://, net://, net4:// or net6://', 0);
  return live(from, liveSchemes.get(scheme), {});
}

function relay(family: Family): Read {
  return (from, { listen }) => {
    const host = from.host(family, 'net');
    const portsAt = from.at;
    const [control, data] = from.ports(2, listen ? 0 : 1);
    const [controlPort, dataPort] = [control ?? defaultPorts.control, data ?? defaultPorts.data];
    // measured with lttng create 2.13.9: also when one is given and equals the other's default
    if (controlPort === dataPort && controlPort !== 0)
      from.fail(`control and data have the same port ${controlPort}`, portsAt);
    const path = basePath(from);
    return { kind: 'relay', text: from.text, family, host, controlPort, dataPort, path };
  };
}

function endpoint(transport: 'tcp' | 'udp', family: Family): Read {
  return (from, { listen }) => {
    const host = from.host(family, transport);
    const [port] = from.ports(1, listen ? 0 : 1);
    return { kind: 'endpoint', text: from.text, transport, family, host, port, path: basePath(from) };
  };
}

/** The sessiond refuses `../`; a relay would. */
function basePath(from: UriText): string {
  const start = from.at + 1;
  const path = from.take().slice(1);
  const up = /(?<=^|\/)\.\.(?=\/|$)/.exec(path);
  if (up !== null) from.fail('the path leads upwards', start + up.index);
  return checkedPath(from, path, start);
}

function checkedPath(from: UriText, path: string, start = 0): string {
  if (path.includes('\0')) from.fail('a path holds no NUL', start + path.indexOf('\0'));
  const bytes = Buffer.byteLength(path);
  if (bytes > limits.basePathLength)
    from.fail(`the path has ${bytes} bytes, at most ${limits.basePathLength} are allowed`, start);
  return path;
}

function live(from: UriText, family: Family | undefined, { listen }: UriOptions): LiveUri {
  const host = from.host(family, 'net');
  const [port = defaultPorts.live] = from.ports(1, listen ? 0 : 1);
  const { text } = from;
  if (from.rest === '') return { kind: 'live', text, family, host, port, target: undefined };
  const start = from.at;
  const [, word, hostname, sessionName, ...more] = from.take().split('/');
  if (word !== 'host') from.fail('expected /host/HOSTNAME/SESSION behind the address', start);
  if (!hostname) from.fail('the name of the traced host is missing', start + '/host/'.length);
  const sessionAt = start + '/host/'.length + hostname.length + 1;
  if (!sessionName) from.fail('the name of the session is missing', Math.min(sessionAt, text.length));
  if (more.length > 0)
    from.fail('unexpected "/" behind the name of the session', sessionAt + sessionName.length);
  return { kind: 'live', text, family, host, port, target: { hostname, sessionName } };
}

function file(from: UriText): PathUri {
  const path = from.rest;
  if (path === '') from.fail('a file name is missing');
  if (!isAbsolute(path)) from.fail('a file:// path is absolute: file:///…');
  return { kind: 'path', text: from.text, path: checkedPath(from, path, from.at) };
}

function capture(text: string): CaptureUri {
  const from = new UriText(text, 'capture:'.length);
  if (from.rest === '') from.fail('a file name is missing');
  return { kind: 'capture', text, path: checkedPath(from, from.rest, from.at) };
}
