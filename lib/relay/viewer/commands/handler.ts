/** What a command's file exports: how a viewer's request is answered. */
import type { StoredPacket } from '../../../disk/packet-cursor.ts';
import type { ReadableFile } from '../../../disk/readable-file.ts';
import type { ViewerCommandName, ViewerReplyOf, ViewerRequestOf } from '../../../wire/live/index.ts';
import type { RelayState } from '../../state.ts';
import type { Topic } from '../idle-pace.ts';
import type { LiveSession } from '../live-session.ts';
import type { ViewedSession, Viewer } from '../viewed-session.ts';
import type { Viewers } from '../viewers.ts';

/** The viewer's connection, as far as commands need to know it. */
export interface ViewerContext extends Viewer {
  readonly relay: RelayState;
  readonly viewers: Viewers;
  readonly peer: string;
  /** Minor that both sides use: the smaller of the viewer's and ours. */
  minor: number;
  /** A millrace viewer: private commands are allowed. */
  isMillrace: boolean;
  /** CONNECT was said. */
  isConnected: boolean;
  /** The attached sessions by id, the viewer session; undefined before CREATE_SESSION. */
  attached: Map<number, ViewedSession> | undefined;
  /** What was given out. */
  readonly totals: { packets: number; bytes: number };
}

/** Bytes that follow the head of a reply: `bytes` of the file from `position` on. */
export interface Payload {
  file: ReadableFile;
  position: number;
  bytes: number;
}

/** A packet's bytes. */
export function packetPayload({ record, file }: StoredPacket): Payload {
  const { offsetBytes, packetSizeBits } = record;
  return { file: file.data, position: Number(offsetBytes), bytes: Number(packetSizeBits) / 8 };
}

export interface Answer<N extends ViewerCommandName> {
  reply: ViewerReplyOf<N>;
  payload?: Payload | undefined;
  /** What the viewer is likely to ask for next. */
  ahead?: Payload | undefined;
  /** What was asked about. */
  topic?: Topic | undefined;
  /** The answer brings no news: it may be held back, and is made anew then. */
  idle?: boolean | undefined;
  /** Nor is there anything else that the viewer could be told: the first such answer may wait, too. */
  lingers?: boolean | undefined;
}

export interface ViewerHandler<N extends ViewerCommandName> {
  /** Only what has to wait for a disk is promised. Throws a MillraceError: the connection ends without a reply. */
  handle(context: ViewerContext, request: ViewerRequestOf<N>): Answer<N> | Promise<Answer<N>>;
}

/** The attachment to a session, by the id that a request names. */
export function viewedSession(context: ViewerContext, sessionId: bigint): ViewedSession | undefined {
  return context.attached?.get(Number(sessionId));
}

/** A session whose producer is connected, by the id that a request names. */
export function listedSession(
  { relay }: ViewerContext,
  sessionId: bigint,
): { live: LiveSession | undefined; traceFormat: string } | undefined {
  const session = relay.sessions.get(Number(sessionId));
  if (session === undefined || !session.connected) return undefined;
  return { live: session.live, traceFormat: session.open.traceFormat };
}
