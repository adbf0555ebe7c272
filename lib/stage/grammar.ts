/**
 * The grammar of frames: what every sink may rely on. Three machines, each a table from state and event to the
 * next state; what a table does not list is refused with MR_ERR_STAGE_ORDER. `absent` is before the opening frame
 * and after the closing one alike: nothing is remembered of what has ended.
 *
 * The tables speak of frames in the order in which a sink gets them; `numbers.ts` brings packets into that order.
 */
import { MillraceError } from '../errors.ts';
import type { Frame } from './frames.ts';

/** A table: for each state, the events it allows and where they lead. */
export type Machine<State extends string, Event extends string> = {
  readonly [S in State]: { readonly [E in Event]?: State };
};

/** One session, from one producer. */
export type SessionState = 'absent' | 'open';
export type SessionEvent =
  | 'sessionOpen'
  | 'streamOpen'
  | 'published'
  | 'sync'
  | 'chunkOpen'
  | 'chunkDone'
  | 'sessionEnd';

export const sessionGrammar: Machine<SessionState, SessionEvent> = {
  absent: { sessionOpen: 'open' },
  open: {
    streamOpen: 'open',
    published: 'open',
    sync: 'open',
    chunkOpen: 'open',
    chunkDone: 'open',
    sessionEnd: 'absent',
  },
};

/** One stream: a data stream is `idle` or inside a `packet`, a metadata stream is `text` or inside a `command`. */
export type StreamState = 'absent' | 'idle' | 'packet' | 'text' | 'command';
/** `next` is the packet that is due, `past` one whose data has passed and whose index has not. */
export type StreamEvent =
  | 'streamOpen data'
  | 'streamOpen metadata'
  | 'data part'
  | 'data last'
  | 'index'
  | 'lost next'
  | 'lost past'
  | 'inactive'
  | 'metadata part'
  | 'metadata last'
  | 'switch'
  | 'streamEnd';

export const streamGrammar: Machine<StreamState, StreamEvent> = {
  absent: { 'streamOpen data': 'idle', 'streamOpen metadata': 'text' },
  idle: {
    'data part': 'packet',
    'data last': 'idle',
    index: 'idle',
    'lost next': 'idle',
    'lost past': 'idle',
    inactive: 'idle',
    switch: 'idle',
    streamEnd: 'absent',
  },
  packet: {
    'data part': 'packet',
    'data last': 'idle',
    index: 'packet',
    'lost next': 'idle',
    'lost past': 'packet',
    inactive: 'packet',
    switch: 'packet',
  },
  text: { 'metadata part': 'command', 'metadata last': 'text', switch: 'text', streamEnd: 'absent' },
  // an abort may cut a metadata command short; readers are shown whole ones only
  command: { 'metadata part': 'command', 'metadata last': 'text', streamEnd: 'absent' },
};

/** One trace chunk of one session. */
export type ChunkState = 'absent' | 'open';
export type ChunkEvent = 'chunkOpen' | 'switch' | 'chunkDone';

export const chunkGrammar: Machine<ChunkState, ChunkEvent> = {
  absent: { chunkOpen: 'open' },
  open: { switch: 'open', chunkDone: 'absent' },
};

/** The next state. Throws MR_ERR_STAGE_ORDER for a pair that the table does not list. */
export function step<State extends string, Event extends string>(
  machine: Machine<State, Event>,
  state: State,
  event: Event,
  frame: Frame,
): State {
  const next = machine[state][event];
  if (next === undefined) throw outOfOrder(frame, state, `${event} is not allowed there`);
  return next;
}

/** MR_ERR_STAGE_ORDER with what identifies the frame. */
export function outOfOrder(frame: Frame, state: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_STAGE_ORDER', {
    frame: frame.kind,
    state,
    why,
    ...('session' in frame ? { session: frame.session } : {}),
    ...('stream' in frame ? { stream: frame.stream } : {}),
    ...('netSeqNum' in frame ? { netSeqNum: frame.netSeqNum } : {}),
    ...('chunk' in frame && frame.chunk !== undefined ? { chunk: frame.chunk } : {}),
  });
}
