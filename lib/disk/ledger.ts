/**
 * How far a stream is. Advanced only by the writer, read by everybody: data-pending answers, viewers' cursors,
 * status. Numbers are net_seq_num, which wrap at 2^64 and are compared as signed differences.
 */
import type { Inactive, Index } from '../stage/frames.ts';

/** A point in a stream: the packet's number and the end of it in its data file. */
export interface Mark {
  netSeqNum: bigint | undefined;
  bytes: number;
}

const none: Mark = { netSeqNum: undefined, bytes: 0 };

/** Whether `a` comes after `b`, modulo 2^64. */
export function isAfter(a: bigint, b: bigint): boolean {
  return BigInt.asIntN(64, a - b) > 0n;
}

/**
 * Until when an idle live stream had nothing to say. Readers break when this goes back or names another stream class
 * than packets do, so both are looked after here. Source: live-protocol, "Beacons".
 */
export class Beacon {
  /** In the trace's clock; undefined: there is no beacon, or a packet has come since. */
  timestampEndCycles: bigint | undefined;
  /** Of the first index or beacon that knew it; undefined: none did. */
  streamClassId: bigint | undefined;
  /** When the beacon came, ms of the process's clock. */
  atMs = 0;
  /** Indexes that had come before the beacon: it says nothing before all of their packets are readable. */
  afterIndexes = 0;
  /** Indexes that have come. */
  #indexes = 0;
  /** Nothing before this time can happen any more: the end of the last packet or beacon. */
  #latestCycles = 0n;

  /** A packet's index has come. */
  index({ streamClassId, timestampEndCycles }: Pick<Index, 'streamClassId' | 'timestampEndCycles'>): void {
    this.#indexes += 1;
    this.#name(streamClassId);
    this.timestampEndCycles = undefined;
    this.#advance(timestampEndCycles);
  }

  /** A beacon has come. Returns whether it says something new. */
  inactive({
    streamClassId,
    timestampEndCycles,
  }: Pick<Inactive, 'streamClassId' | 'timestampEndCycles'>): boolean {
    this.#name(streamClassId);
    this.afterIndexes = this.#indexes;
    if (timestampEndCycles < this.#latestCycles) return false;
    const isNews = timestampEndCycles !== this.timestampEndCycles;
    this.timestampEndCycles = timestampEndCycles;
    if (isNews) this.atMs = performance.now();
    this.#advance(timestampEndCycles);
    return isNews;
  }

  #name(streamClassId: bigint): void {
    if (streamClassId !== unknownClass) this.streamClassId ??= streamClassId;
  }

  #advance(cycles: bigint): void {
    if (cycles > this.#latestCycles) this.#latestCycles = cycles;
  }
}

const unknownClass = 0xffff_ffff_ffff_ffffn;

/** The ledger of one stream; marks only ever move forward while the stream stays in one file. */
export class Ledger {
  /** Last packet whose data is written whole. */
  received: Mark = none;
  /** Last packet whose index has come. */
  indexed: Mark = none;
  /** Last committed packet: data and index record are written (durable, where that is asked for). */
  stored: Mark = none;
  /** Last packet known to be durable. */
  synced: Mark = none;
  packets = 0;
  bytes = 0;
  metadataBytes = 0;
  lostPackets = 0;
  lostBytes = 0;
  readonly beacon = new Beacon();

  /** Moves `mark` to `netSeqNum` unless it is already beyond; its position in the file always follows. */
  advance(mark: 'received' | 'indexed' | 'stored' | 'synced', netSeqNum: bigint, bytes: number): void {
    const old = this[mark].netSeqNum;
    const number = old === undefined || isAfter(netSeqNum, old) ? netSeqNum : old;
    this[mark] = { netSeqNum: number, bytes };
  }
}
