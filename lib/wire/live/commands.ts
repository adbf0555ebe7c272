/**
 * Every command of the live (viewer) protocol: dispatch, tables and the question "is every command handled?" all read
 * these rows. Source: live-protocol, "Commands".
 */
import type { Struct, Value } from '../../schema/index.ts';
import { always, type Superset, type Versions } from '../versions.ts';
import * as packets from './packets.ts';
import * as session from './session.ts';
import * as streams from './streams.ts';

interface Row {
  readonly code: number;
  /** First minor that has the command; `millrace`: private, between millrace programs (see `millrace`). */
  readonly since: number | 'millrace';
  /** What must have been said before. GET_PACKET and the like say themselves whether their stream is attached. */
  readonly needs: 'nothing' | 'connect';
  readonly request: Versions;
  readonly reply: Versions;
  /** `pass`: behind the declared head of the reply come `lengthBytes` bytes. */
  readonly body: 'none' | 'pass';
}

const plain = { since: 4, needs: 'connect', body: 'none' } as const;

const rows = {
  connect: {
    ...plain,
    code: 1,
    needs: 'nothing',
    request: always(session.connect),
    reply: always(session.connect),
  },
  listSessions: {
    ...plain,
    code: 2,
    request: always(session.listSessions),
    reply: [
      [0, session.listSessionsReply],
      [15, session.listSessionsReply2_15],
    ],
  },
  attachSession: {
    ...plain,
    code: 3,
    request: always(streams.attachSession),
    reply: always(streams.attachSessionReply),
  },
  getNextIndex: {
    ...plain,
    code: 4,
    request: always(packets.getNextIndex),
    reply: always(packets.getNextIndexReply),
  },
  getPacket: {
    ...plain,
    code: 5,
    body: 'pass',
    request: always(packets.getPacket),
    reply: always(packets.getPacketReply),
  },
  getMetadata: {
    ...plain,
    code: 6,
    body: 'pass',
    request: always(packets.getMetadata),
    reply: always(packets.getMetadataReply),
  },
  getNewStreams: {
    ...plain,
    code: 7,
    request: always(streams.getNewStreams),
    reply: always(streams.getNewStreamsReply),
  },
  createSession: {
    ...plain,
    code: 8,
    request: always(session.createSession),
    reply: always(session.createSessionReply),
  },
  detachSession: {
    ...plain,
    code: 9,
    since: 8,
    request: always(session.detachSession),
    reply: always(session.detachSessionReply),
  },
  getNextRecord: {
    ...plain,
    code: 0x6d69_0001,
    since: 'millrace',
    request: always(packets.getNextIndex),
    reply: always(packets.getNextRecordReply),
  },
  seekStream: {
    ...plain,
    code: 0x6d69_0002,
    since: 'millrace',
    request: always(packets.seekStream),
    reply: always(packets.seekStreamReply),
  },
  attachKept: {
    ...plain,
    code: 0x6d69_0003,
    since: 'millrace',
    request: always(streams.attachKept),
    reply: always(streams.attachKeptReply),
  },
} as const satisfies Record<string, Row>;

type Rows = typeof rows;

/** Commands that exist. */
export type ViewerCommandName = keyof Rows;

/** One row and its name. */
export type ViewerCommand = Row & { readonly name: ViewerCommandName };

/** The rows by name. */
export const viewerCommandRows: Readonly<Record<ViewerCommandName, Row>> = rows;

/** The rows by command code. */
export const viewerCommands: ReadonlyMap<number, ViewerCommand> = new Map(
  Object.entries(rows).map(([name, row]) => [row.code, { ...row, name: name as ViewerCommandName }]),
);

/** The newest minor there is: relays of 2.15 and all later ones say this. */
export const newestViewerMinor = 15;

type ValueIn<V> = V extends readonly (infer E)[]
  ? E extends readonly [number, infer S extends Struct<object>]
    ? Value<S>
    : never
  : never;

/** The request of a command, over all its versions. */
export type ViewerRequestOf<C extends ViewerCommandName> = Superset<ValueIn<Rows[C]['request']>>;

/** The reply to a command (its head, where bytes follow), over all its versions. */
export type ViewerReplyOf<C extends ViewerCommandName> = Superset<ValueIn<Rows[C]['reply']>>;
