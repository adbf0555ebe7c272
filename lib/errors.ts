/**
 * Every failure that millrace can name. A code is stable once released; its scope alone decides what is torn
 * down, its wire status alone decides what the peer is told. Messages are made here, from facts, never at the
 * throw. Foreign errors are wrapped at a room's edge with `cause`; bugs are `node:assert`, input is never
 * asserted.
 */

/** What an error costs: everything of the named kind that it happened in, and nothing else. */
export type Scope = 'message' | 'stream' | 'connection' | 'pipeline' | 'process';

/** Return codes of the relay protocol. Source: relay-protocol, "Encodings and codes". */
export const relayRet = {
  ok: 10,
  unknown: 11,
  fatal: 25,
  noMemory: 26,
  invalid: 97,
  invalidProtocol: 152,
  fileCreation: 153,
} as const;

interface Row {
  scope: Scope;
  /** Return code for a relay producer, where the command has a reply. */
  ret?: number;
  /** Sentence from facts; facts appear as {name}. */
  text: string;
  /** What an operator can do, where there is something. */
  advice?: string;
}

const rows = {
  // schema, wire: a message whose bytes do not fit its declaration
  MR_ERR_WIRE_SHORT: { scope: 'connection', text: '{what} needs {expected} bytes, got {got}' },
  MR_ERR_WIRE_LONG: { scope: 'connection', text: '{what} has {got} bytes, at most {expected} are allowed' },
  MR_ERR_WIRE_STRING: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{what}: {field} is not a NUL-terminated string',
  },
  MR_ERR_WIRE_VALUE: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{what}: {field} is {got}, expected {expected}',
  },
  MR_ERR_WIRE_RANGE: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{what} is {got}, too large for {expected}',
  },
  // stages
  MR_ERR_STAGE_FAILED: { scope: 'pipeline', text: 'stage {stage} failed: {why}' },
  MR_ERR_STAGE_TRUNCATED: {
    scope: 'connection',
    text: '{what} ended in the middle: {got} of {expected} bytes',
  },
  MR_ERR_STAGE_ORDER: { scope: 'pipeline', text: 'frame {frame} breaks the grammar in state {state}: {why}' },
  MR_ERR_STAGE_CUT: { scope: 'pipeline', text: 'cut by the fault stage after {got} {unit}' },
  MR_ERR_STAGE_STALLED: { scope: 'pipeline', text: '{what} did not drain for {seconds} s' },
  // operating system, network
  MR_ERR_OS_LOCK: { scope: 'stream', text: 'range lock on descriptor {fd}: {why}' },
  MR_ERR_NETWORK_LISTEN: {
    scope: 'process',
    text: 'cannot listen on {address}: {why}',
    advice: 'choose another port, or stop the program that holds it',
  },
  MR_ERR_NETWORK_DIAL: { scope: 'pipeline', text: 'cannot connect to {address}: {why}' },
  MR_ERR_NETWORK_LOST: { scope: 'connection', text: 'connection to {peer} lost: {why}' },
  MR_ERR_NETWORK_IDLE: {
    scope: 'connection',
    text: '{peer} said nothing for {seconds} s and belongs to no session',
  },
  MR_ERR_NETWORK_CEILING: {
    scope: 'connection',
    text: '{peer} refused: {got} connections that belong to no session, at most {expected}',
  },
  MR_ERR_NETWORK_URI: { scope: 'process', text: '"{uri}": {why} (at character {position})' },
  MR_ERR_CONTROL_COMMAND: { scope: 'message', text: 'control socket: {command}: {why}' },
  MR_ERR_CONTROL_SOCKET: { scope: 'process', text: 'control socket {path}: {why}' },
  // disk
  MR_ERR_DISK_FULL: { scope: 'stream', ret: relayRet.unknown, text: '{path}: no space left ({what})' },
  MR_ERR_DISK_WRITE: { scope: 'stream', ret: relayRet.unknown, text: '{path}: {why}' },
  MR_ERR_DISK_CREATE: { scope: 'message', ret: relayRet.unknown, text: 'cannot create {path}: {why}' },
  MR_ERR_DISK_READ: { scope: 'stream', text: '{path}: {why}' },
  MR_ERR_DISK_CHANGED: { scope: 'stream', text: '{path} is no longer the file that was opened' },
  MR_ERR_DISK_IN_USE: {
    scope: 'process',
    text: '{path} is used by another relay ({who})',
    advice: 'give this relay a directory of its own with --output',
  },
  MR_ERR_DISK_NAME: { scope: 'message', ret: relayRet.unknown, text: '{what} {name} is no safe name: {why}' },
  MR_ERR_LOG_RECORD: { scope: 'pipeline', text: 'frame log {path}: record at {offset}: {why}' },
  MR_ERR_LOG_VERSION: {
    scope: 'pipeline',
    text: 'frame log {path}: version {got}, this program reads {expected}',
  },
  // disk images
  MR_ERR_IMAGE_OPEN: { scope: 'process', text: 'cannot open the image {path}: {why}' },
  MR_ERR_IMAGE_IN_USE: {
    scope: 'process',
    text: 'the image {path} is used by another program',
    advice: 'stop the program that uses it, or serve it read-only together with other readers',
  },
  MR_ERR_IMAGE_SHORT: {
    scope: 'message',
    text: '{path} ended at byte {offset}: it is shorter than it was when it was opened',
  },
  MR_ERR_IMAGE_SLOW_ZERO: { scope: 'message', text: '{path} cannot be zeroed faster than written' },
  // trace format
  MR_ERR_CTF_METADATA: { scope: 'stream', text: 'metadata, line {line}, column {column}: {why}' },
  MR_ERR_CTF_METADATA_PACKET: { scope: 'stream', text: 'metadata packet at byte {offset}: {why}' },
  MR_ERR_CTF_SHORT: {
    scope: 'stream',
    text: 'packet needs {expected} bits for its header and context, got {got}',
  },
  MR_ERR_CTF_MAGIC: { scope: 'stream', text: 'packet begins with {got}, not with the magic number c1fc1fc1' },
  MR_ERR_CTF_STREAM_CLASS: { scope: 'stream', text: 'packet belongs to stream class {got}: {why}' },
  MR_ERR_CTF_PACKET: { scope: 'stream', text: 'packet: {why}' },
  MR_ERR_CTF_LAYOUT: { scope: 'stream', text: 'metadata, {where}: {why}' },
  MR_ERR_CTF_EVENT: { scope: 'stream', text: 'event at bit {bit} of its packet: {why}' },
  // relay
  MR_ERR_RELAY_COMMAND: { scope: 'connection', ret: relayRet.unknown, text: 'unknown command {command}' },
  MR_ERR_RELAY_STATE: { scope: 'connection', text: '{command} needs {expected}' },
  MR_ERR_RELAY_VERSION: {
    scope: 'connection',
    text: 'producer speaks major version {got}, this relay {expected}',
  },
  MR_ERR_RELAY_SESSION: {
    scope: 'connection',
    ret: relayRet.fatal,
    text: 'cannot create the session: {why}',
  },
  MR_ERR_RELAY_STREAM_ROTATING: {
    scope: 'connection',
    ret: relayRet.fileCreation,
    text: '{command}: stream {stream} is rotating already',
  },
  MR_ERR_RELAY_STREAM_UNKNOWN: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: stream {stream} is unknown',
  },
  MR_ERR_RELAY_STREAM_FOREIGN: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: stream {stream} belongs to a session of another connection',
  },
  MR_ERR_RELAY_STREAM_CHUNK: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: stream {stream} is in no trace chunk',
  },
  MR_ERR_RELAY_STREAM_FAILED: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: stream {stream} failed before: {why}',
  },
  MR_ERR_RELAY_STREAM_KIND: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: stream {stream} {why}',
  },
  MR_ERR_RELAY_STREAMS: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: {got} streams, at most {expected}',
  },
  MR_ERR_RELAY_INDEX: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: 'stream {stream}: packet {packet} {why}',
  },
  MR_ERR_RELAY_CHUNK: { scope: 'connection', ret: relayRet.invalidProtocol, text: '{command}: {why}' },
  MR_ERR_RELAY_CHUNK_UNKNOWN: {
    scope: 'connection',
    ret: relayRet.noMemory,
    text: '{command}: trace chunk {chunk} is unknown',
  },
  MR_ERR_RELAY_METADATA: { scope: 'connection', ret: relayRet.unknown, text: '{command}: {why}' },
  // live client
  MR_ERR_LIVE_VERSION: {
    scope: 'pipeline',
    text: '{peer} speaks major version {got} of the live protocol, expected {expected}',
  },
  MR_ERR_LIVE_SESSION: { scope: 'pipeline', text: '{peer}: session {session}: {why}' },
  MR_ERR_LIVE_REPLY: { scope: 'pipeline', text: '{peer}: {command}: {why}' },
  // consumer
  MR_ERR_CONSUMER_NO_TRACE: { scope: 'pipeline', text: '{path}: no trace can be read there: {why}' },
  MR_ERR_CONSUMER_DAMAGE: { scope: 'stream', text: '{path}: {why}' },
  MR_ERR_RELAY_HOPS: {
    scope: 'connection',
    ret: relayRet.unknown,
    text: '{command}: passing sessions on is not allowed here',
    advice: 'start the relay with --allow-hops',
  },
  // relay client: what the relay at the far end does
  MR_ERR_CLIENT_VERSION: {
    scope: 'pipeline',
    text: 'relay {peer} announces version {got}, expected {expected}',
    advice: 'stream into a relay of lttng-tools 2.1 or later',
  },
  MR_ERR_CLIENT_REFUSED: { scope: 'pipeline', text: 'relay {peer} refused {command} with code {ret}' },
  MR_ERR_CLIENT_REPLY: { scope: 'pipeline', text: 'relay {peer}: {why}' },
  MR_ERR_CLIENT_SILENT: {
    scope: 'pipeline',
    text: 'relay {peer} did not answer {command} within {seconds} s',
  },
  MR_ERR_CLIENT_PENDING: {
    scope: 'pipeline',
    text: 'relay {peer} has had data pending for {seconds} s without any progress',
  },
  MR_ERR_CLIENT_UNSUPPORTED: { scope: 'pipeline', text: 'relay {peer} of minor {minor} {why}' },
  // viewers
  MR_ERR_VIEWER_CONNECT: { scope: 'connection', text: 'cannot serve this viewer: {why}' },
  MR_ERR_VIEWER_CEILING: { scope: 'connection', text: '{what}: {got}, at most {expected}' },
  // viewer
  MR_ERR_VIEW_INPUT: { scope: 'pipeline', text: '{path}: {why}' },
  MR_ERR_VIEW_PACKET: { scope: 'pipeline', text: '{path}: packet at byte {offset}: {why}' },
  MR_ERR_VIEW_CLOCK: { scope: 'pipeline', text: '{path}: {why}' },
  MR_ERR_VIEW_FILTER: { scope: 'process', text: 'filter "{text}": {why}' },
  MR_ERR_VIEW_RANGE: { scope: 'pipeline', text: 'time range: {why}' },
  // capture
  MR_ERR_CAPTURE_MISMATCH: {
    scope: 'pipeline',
    text: 'replay of {path}: {what} was {got}, recorded {expected}',
  },
  // migration
  MR_ERR_NBD_PROTOCOL: { scope: 'connection', text: '{peer} breaks the protocol: {why}' },
  MR_ERR_NBD_REFUSED: { scope: 'pipeline', text: '{peer} refuses {what}: {why}' },
  MR_ERR_NBD_REPLY: { scope: 'message', text: '{peer} answers {command} with {error}{message}' },
  MR_ERR_NBD_SILENT: { scope: 'connection', text: '{peer} answered nothing for {seconds} s' },
  MR_ERR_NBD_SIZE: { scope: 'pipeline', text: '{what} has {got} bytes, {expected} are needed' },
  MR_ERR_NBD_TLS: { scope: 'connection', text: 'TLS with {peer}: {why}' },
  MR_ERR_NBD_PSK: { scope: 'process', text: 'line {line} of the key file is no USER:HEXKEY' },
  MR_ERR_NBD_KEYS: { scope: 'process', text: 'keys and certificates: {path}: {why}' },
  MR_ERR_NBD_INPUT: { scope: 'pipeline', text: 'the input ended after {got} of {expected} bytes' },
  MR_ERR_NBD_KILLED: {
    scope: 'connection',
    text: '{peer} was cut: a request was not finished within {seconds} s',
  },
  MR_ERR_NBD_SLOW_HANDSHAKE: {
    scope: 'connection',
    text: '{peer} did not finish its handshake in {seconds} s',
  },
  MR_ERR_NBD_ACL: {
    scope: 'message',
    text: '"{entry}" is no ADDRESS or ADDRESS/BITS',
    advice: 'IPv4 or IPv6 in numbers, with 1 to 32 or 1 to 128 bits: 10.0.0.0/8, 2001:db8::/32',
  },
  MR_ERR_NBD_MIRROR_CONNECT: { scope: 'pipeline', text: 'mirror: cannot connect to {address}: {why}' },
  MR_ERR_NBD_MIRROR_REJECTED: { scope: 'pipeline', text: 'mirror: {address} rejected us: {why}' },
  MR_ERR_NBD_MIRROR_SILENT: { scope: 'pipeline', text: 'mirror: {address} said no hello in {seconds} s' },
  MR_ERR_NBD_MIRROR_SIZE: {
    scope: 'pipeline',
    text: 'mirror: the disk at {address} has {got} bytes, this one {expected}',
  },
  MR_ERR_NBD_MIRROR_REPLY: { scope: 'pipeline', text: 'mirror: {address}: {why}' },
  MR_ERR_NBD_MIRROR_STALLED: {
    scope: 'pipeline',
    text: 'mirror: {address} made no progress for {seconds} s',
  },
  MR_ERR_NBD_MIRROR_VERIFY: {
    scope: 'pipeline',
    text: 'mirror: {address} holds other bytes than this disk at {offset}, after {times} attempts',
  },
  MR_ERR_NBD_MIRROR_RUNNING: { scope: 'message', text: 'a mirror runs already' },
  MR_ERR_NBD_MIRROR_ENDING: { scope: 'message', text: 'this server is ending' },
  MR_ERR_NBD_MIRROR_BROKEN: { scope: 'message', text: 'the mirror was broken off' },
  MR_ERR_NBD_RANGE: { scope: 'message', text: '{length} bytes at {offset} of a disk of {size}' },
  MR_ERR_NBD_MIRROR_STATE: { scope: 'process', text: 'a migration that is {state} cannot be told {event}' },
  // pipes
  MR_ERR_PIPE_PAIR: { scope: 'process', text: '{source} cannot be piped into {sink}: {why}' },
  // command line
  MR_ERR_USAGE: { scope: 'process', text: '{why}' },
} as const satisfies Record<string, Row>;

/** Every error code, as a type. */
export type ErrorCode = keyof typeof rows;

/** The table itself: scope, wire status, text and advice of each code. */
export const errorTable: Readonly<Record<ErrorCode, Row>> = rows;

type FactNames<S extends string> = S extends `${string}{${infer N}}${infer Rest}`
  ? N | FactNames<Rest>
  : never;

/** The facts a code's text names; more may be given (peer, command) and travel with the error. */
export type Facts<C extends ErrorCode> = Record<FactNames<(typeof rows)[C]['text']>, Fact> &
  Partial<Record<string, Fact>>;

/** A fact: what a log line can print. */
export type Fact = string | number | bigint | boolean;

/**
 * The one error class. `code` selects the row, `facts` fill its text and travel along for log lines,
 * `options.cause` keeps the foreign error.
 */
export class MillraceError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly facts: Facts<C>;

  constructor(code: C, facts: Facts<C>, options?: ErrorOptions) {
    super(fill(rows[code].text, facts), options);
    this.name = 'MillraceError';
    this.code = code;
    this.facts = facts;
  }

  get scope(): Scope {
    return errorTable[this.code].scope;
  }

  /** Return code for a relay producer; undefined: the connection is closed without a reply. */
  get ret(): number | undefined {
    return errorTable[this.code].ret;
  }

  get advice(): string | undefined {
    return errorTable[this.code].advice;
  }
}

function fill(text: string, facts: Partial<Record<string, Fact>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => printable(String(facts[name] ?? '?')));
}

/**
 * Text from outside made safe for one log line: control characters escaped, length bounded. `text`: any string.
 */
export function printable(text: string, maxLength = 200): string {
  const clean = text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}… (${clean.length} characters)` : clean;
}

/** What went wrong in a foreign error, in a few words: the system's code where there is one. */
export function why(error: unknown): string {
  if (error instanceof MillraceError) return error.message;
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code && !error.message.includes(code) ? `${code}: ${error.message}` : error.message;
  }
  return String(error);
}
