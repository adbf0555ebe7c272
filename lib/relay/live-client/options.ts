/** What a live client is told. */
import type { Address } from '../../network/address.ts';
import type { SlabPool } from '../../stage/slab.ts';

/** How to speak to a relay's live port. */
export interface LiveOptions {
  address: Address;
  /** Longest wait for a connection, and for each reply, milliseconds; default `limits.replySeconds`. */
  replyMs?: number;
  signal?: AbortSignal;
}

/** How long a lost connection is tried again, unless something else is said, milliseconds. */
export const defaultReconnectMs = 60_000;

/** See `liveSource`. */
export interface LiveSourceOptions extends LiveOptions {
  /** As they are listed. */
  hostname: string;
  sessionName: string;
  /** Where streams begin that are there at the beginning; later ones are read from theirs. Default `beginning`. */
  seek?: 'beginning' | 'last';
  /** When the session is not listed: `wait` for it (default), `end`, or `fail` with MR_ERR_LIVE_SESSION. */
  missing?: 'wait' | 'end' | 'fail';
  /** How long a lost connection is tried again before the source fails, milliseconds; default `defaultReconnectMs`. 0: not at all. */
  reconnectMs?: number;
  /** Slabs that packets are read into; default: a pool of `limits.slabsPerSession`. */
  pool?: SlabPool;
  /** Longest time between two sync beacons while packets flow, milliseconds; 1000 by default. */
  syncIntervalMs?: number;
}
