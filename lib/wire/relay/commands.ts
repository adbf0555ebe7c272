/**
 * Every command of the control connection: dispatch, tables and the question "is every command handled?" all
 * read these rows. Source: relay-protocol, "Command table".
 */
import type { Struct, Value } from '../../schema/index.ts';
import { always, type Superset, type Versions } from '../versions.ts';
import * as chunk from './chunk.ts';
import * as datagram from './datagram.ts';
import * as forwarding from './forwarding.ts';
import * as metadata from './metadata.ts';
import * as pending from './pending.ts';
import { genericReply } from './reply.ts';
import * as index from './send-index.ts';
import * as session from './session.ts';
import * as stream from './stream.ts';

interface Row {
  readonly code: number;
  /** First minor that has the command. Undefined: its number is reserved, nobody sends it. */
  readonly since: number | undefined;
  /** `millrace`: private, between two millrace programs. */
  readonly sender: 'sessiond' | 'consumerd' | 'millrace' | 'nobody';
  /** What must be there already; `chunks` is a session of minor 11 or later. */
  readonly needs: 'nothing' | 'session' | 'chunks';
  /** `pass`: behind the declared head, the payload is passed on in parts instead of being collected. */
  readonly body: 'collect' | 'pass';
  readonly request: Versions;
  /** Empty: no reply is sent. */
  readonly reply: Versions;
}

const plain = { body: 'collect', reply: always(genericReply) } as const;
const fromConsumerd = { ...plain, sender: 'consumerd', needs: 'session' } as const;
const fromSessiond = { ...plain, sender: 'sessiond', needs: 'nothing' } as const;
const fromMillrace = { ...plain, since: 12, sender: 'millrace', needs: 'session' } as const;
const aboutChunks = { ...plain, since: 11, sender: 'consumerd', needs: 'chunks' } as const;
/** Answered like an unknown code: with an error, then a close. */
const reserved = { ...plain, since: undefined, sender: 'nobody', needs: 'nothing', request: [] } as const;

const rows = {
  addStream: {
    ...fromConsumerd,
    code: 1,
    since: 1,
    request: [
      [0, stream.addStream],
      [2, stream.addStream2_2],
      [11, stream.addStream2_11],
    ],
    reply: always(stream.addStreamReply),
  },
  createSession: {
    // Sent by the consumerd before 2.4.
    ...fromSessiond,
    code: 2,
    since: 1,
    request: [
      [0, session.createSession],
      [4, session.createSession2_4],
      [11, session.createSession2_11],
      [15, session.createSession2_15],
    ],
    reply: [
      [0, session.createSessionReply],
      [11, session.createSessionReply2_11],
    ],
  },
  startData: {
    ...plain,
    code: 3,
    since: 1,
    sender: 'nobody',
    needs: 'nothing',
    request: always(pending.startData),
  },
  updateSyncInfo: { ...reserved, code: 4 },
  version: {
    ...fromSessiond,
    code: 5,
    since: 1,
    request: always(session.version),
    reply: always(session.version),
  },
  sendMetadata: {
    ...fromConsumerd,
    code: 6,
    since: 1,
    body: 'pass',
    request: always(metadata.sendMetadata),
    reply: [],
  },
  closeStream: { ...fromConsumerd, code: 7, since: 1, request: always(stream.closeStream) },
  dataPending: { ...fromConsumerd, code: 8, since: 1, request: always(pending.dataPending) },
  quiescentControl: { ...fromConsumerd, code: 9, since: 1, request: always(pending.quiescentControl) },
  beginDataPending: { ...fromConsumerd, code: 10, since: 1, request: always(pending.beginDataPending) },
  endDataPending: { ...fromConsumerd, code: 11, since: 1, request: always(pending.endDataPending) },
  addIndex: { ...reserved, code: 12 },
  sendIndex: {
    ...fromConsumerd,
    code: 13,
    since: 4,
    request: [
      [0, index.sendIndex2_4],
      [8, index.sendIndex2_8],
    ],
  },
  closeIndex: { ...reserved, code: 14 },
  listSessions: { ...reserved, code: 15 },
  streamsSent: { ...fromConsumerd, code: 16, since: 4, request: always(stream.streamsSent) },
  resetMetadata: { ...fromConsumerd, code: 17, since: 8, request: always(metadata.resetMetadata) },
  rotateStreams: {
    ...aboutChunks,
    code: 18,
    request: [
      [0, chunk.rotateStreamsAligned8],
      [0, chunk.rotateStreamsAligned4],
      [0, chunk.rotateStreamsPacked],
    ],
  },
  createTraceChunk: { ...aboutChunks, code: 19, request: always(chunk.createTraceChunk) },
  closeTraceChunk: {
    ...aboutChunks,
    code: 20,
    request: always(chunk.closeTraceChunk),
    reply: always(chunk.closeTraceChunkReply),
  },
  traceChunkExists: {
    ...aboutChunks,
    code: 21,
    request: always(chunk.traceChunkExists),
    reply: always(chunk.traceChunkExistsReply),
  },
  getConfiguration: {
    ...fromSessiond,
    code: 22,
    since: 12,
    request: always(session.getConfiguration),
    reply: always(session.getConfigurationReply),
  },
  // Private numbers, "MR" and a count: asked for first, see `privateQuery`.
  udpOpen: {
    ...fromMillrace,
    code: 0x4d52_0001,
    request: always(datagram.udpOpen),
    reply: always(datagram.udpOpenReply),
  },
  udpSent: {
    ...fromMillrace,
    code: 0x4d52_0002,
    request: always(datagram.udpSent),
    reply: always(datagram.udpSentReply),
  },
  lastStored: {
    ...fromMillrace,
    needs: 'nothing',
    code: 0x4d52_0011,
    request: always(forwarding.lastStored),
    reply: always(forwarding.lastStoredReply),
  },
  resumeSession: {
    ...fromMillrace,
    needs: 'nothing',
    code: 0x4d52_0014,
    request: always(forwarding.resumeSession),
    reply: always(forwarding.resumeSessionReply),
  },
  packetLost: { ...fromMillrace, code: 0x4d52_0012, request: always(forwarding.packetLost) },
  forwardTo: { ...fromMillrace, needs: 'nothing', code: 0x4d52_0013, request: always(forwarding.forwardTo) },
} as const satisfies Record<string, Row>;

type Rows = typeof rows;
type ReservedName = { [N in keyof Rows]: Rows[N]['since'] extends undefined ? N : never }[keyof Rows];

/** Commands that exist. */
export type CommandName = Exclude<keyof Rows, ReservedName>;

/** One row: a command that exists, or a reserved number (`since` undefined). */
export type RelayCommand =
  | (Row & { readonly name: CommandName; readonly since: number })
  | (Row & { readonly name: ReservedName; readonly since: undefined });

/** The rows by name. */
export const commandRows: Readonly<Record<CommandName, Row & { readonly since: number }>> = rows;

/** The rows by command code: 1 to 22 without a gap, then the private ones. */
export const relayCommands: ReadonlyMap<number, RelayCommand> = new Map(
  Object.entries(rows).map(([name, row]) => [row.code, { ...row, name } as RelayCommand]),
);

type ValueIn<V> = V extends readonly (infer E)[]
  ? E extends readonly [number, infer S extends Struct<object>]
    ? Value<S>
    : never
  : never;

/** The request of a command, over all its versions: fields that a version lacks are optional. */
export type RequestOf<C extends CommandName> = Superset<ValueIn<Rows[C]['request']>>;

/** The reply to a command, over all its versions; never where there is none. */
export type ReplyOf<C extends CommandName> = Superset<ValueIn<Rows[C]['reply']>>;
