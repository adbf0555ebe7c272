/** What a migration is asked for, and what comes of it. */
import type { Address } from '../../network/address.ts';
import type { DestinationOptions } from './destination.ts';
import type { PauseBounds } from './pace.ts';

/** What follows the last byte: this server's end; its end without the file; it goes on and the other learns nothing. */
export type MirrorAction = 'exit' | 'unlink' | 'nothing';

/** What a migration is asked for. */
export interface MirrorOptions extends Omit<DestinationOptions, 'signal'> {
  address: Address;
  action: MirrorAction;
  /** Of the first copy. */
  maxBytesPerSecond?: number;
  pause?: Partial<PauseBounds>;
  /** To a millrace listener: compare by hash before the hand-over. True unless told. */
  verify?: boolean;
  /** To a millrace listener: connections beside each other, at most as many as it allows. */
  connections?: number;
  /** Bytes that clients may change behind the first copy before these are sent first; `limits.mirrorChangedBytes`. */
  changedBytes?: number;
  /** Before a failed attempt is followed by the next. */
  retryMs?: number;
  /** How long to wait, after the hand-over, until the other side has hung up. */
  lingerMs?: number;
}

/** Where the disk has gone. */
export interface HandedOver {
  destination: string;
  /** Where it will be served, where the other side said so. */
  servedAt: string | undefined;
  atMs: number;
  /** For how long clients were shut out, ms. */
  pauseMs: number;
  unlinked: boolean;
}

/** As flexnbd estimates it, and never more than it allows. Source: nbd-migration, D.2. */
export const pauseBounds: PauseBounds = { pauseMs: 50, mostPauseMs: 5000 };
