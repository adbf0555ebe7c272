/**
 * What a migration's source may be doing, what can happen to it, and what follows. The table is the whole truth: what
 * is not in it cannot happen, and for each state it says whether clients are admitted and which copy of the disk counts.
 */
import { MillraceError } from '../../errors.ts';

/**
 * `connecting`: the first attempt, of whose outcome the operator is told. `waiting`: for the allocation map.
 * `copying`: passes over what is dirty, beside the clients. `shutting`: clients finish what they began and go.
 * `finishing`: what they left is sent. `stopping`: the listening socket is being closed. `committed`: the file is
 * removed, if that was asked for, and the disconnect request is on its way. `pausing`, `reconnecting`: between attempts.
 * `stopped`: a signal came; no migration starts after it.
 */
export const mirrorStates = [
  'idle',
  'connecting',
  'waiting',
  'copying',
  'shutting',
  'finishing',
  'stopping',
  'committed',
  'done',
  'pausing',
  'reconnecting',
  'stopped',
] as const;
export type MirrorState = (typeof mirrorStates)[number];

/**
 * `failed`: the attempt cannot go on. `resumed`: it ends with both sides as they are and the clients back (action
 * `nothing`). `stop`: a signal. The others say what has been reached.
 */
export const mirrorEvents = [
  'start',
  'connected',
  'mapReady',
  'converged',
  'clientsGone',
  'sent',
  'closed',
  'ended',
  'resumed',
  'failed',
  'retry',
  'break',
  'stop',
] as const;
export type MirrorEvent = (typeof mirrorEvents)[number];

interface Row {
  /** New clients are let in. */
  admits: boolean;
  /** The copy of the disk that counts if everything stops here. */
  canonical: 'source' | 'destination';
  on: Partial<Record<MirrorEvent, MirrorState>>;
}

/** What every state of an attempt has in common: it may be broken off, stopped, and fail into a retry. */
const attempt = { failed: 'pausing', break: 'idle', stop: 'stopped' } as const;

/** See the file's head. Source: nbd-migration, D.3 to D.7. */
export const mirrorTable: Readonly<Record<MirrorState, Row>> = {
  idle: { admits: true, canonical: 'source', on: { start: 'connecting', stop: 'stopped' } },
  // a first attempt that fails was reported, and is not retried
  connecting: {
    admits: true,
    canonical: 'source',
    on: { ...attempt, connected: 'waiting', failed: 'idle' },
  },
  waiting: { admits: true, canonical: 'source', on: { ...attempt, mapReady: 'copying' } },
  copying: { admits: true, canonical: 'source', on: { ...attempt, converged: 'shutting' } },
  shutting: { admits: false, canonical: 'source', on: { ...attempt, clientsGone: 'finishing' } },
  finishing: {
    admits: false,
    canonical: 'source',
    on: { ...attempt, sent: 'stopping', resumed: 'idle' },
  },
  stopping: { admits: false, canonical: 'source', on: { ...attempt, closed: 'committed' } },
  // nothing takes it back: a break and a signal come too late, a lost connection changes nothing
  committed: {
    admits: false,
    canonical: 'destination',
    on: { ended: 'done', failed: 'done', break: 'committed', stop: 'committed' },
  },
  done: { admits: false, canonical: 'destination', on: { break: 'done', stop: 'done' } },
  pausing: {
    admits: true,
    canonical: 'source',
    on: { retry: 'reconnecting', break: 'idle', stop: 'stopped' },
  },
  reconnecting: { admits: true, canonical: 'source', on: { ...attempt, connected: 'waiting' } },
  stopped: { admits: false, canonical: 'source', on: { stop: 'stopped' } },
};

/** Where `event` leads. Throws MR_ERR_NBD_MIRROR_STATE when it cannot happen in `state`. */
export function nextState(state: MirrorState, event: MirrorEvent): MirrorState {
  const next = mirrorTable[state].on[event];
  if (next === undefined) throw new MillraceError('MR_ERR_NBD_MIRROR_STATE', { state, event });
  return next;
}

/** Whether `state` is one of a migration that runs: `status` says `is_mirroring`, and a second one is refused. */
export function isMirroring(state: MirrorState): boolean {
  return state !== 'idle' && state !== 'stopped';
}
