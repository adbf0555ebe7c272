/**
 * A stream's change to another trace chunk, from the request until every packet in front of the split is committed;
 * what is asked here is only when that is. At most one change is pending at a time.
 */
import type { Index } from '../stage/frames.ts';
import type { Packet } from './packets.ts';
import type { TraceChunk } from './trace-chunk.ts';

/** A change that was asked for. */
export interface ChunkChange {
  /** The first packet whose packet_seq_num is at least this goes to the next chunk. */
  readonly atPacketSeqNum: bigint;
  /** undefined: the stream leaves its chunk for none. */
  readonly next: TraceChunk | undefined;
  /** Called when the stream has gone over, or is closed. */
  readonly done: () => void;
}

/** How far the stream is. */
export interface StreamPosition {
  /** The first packet that is not committed, of which data has come. */
  readonly first: Packet | undefined;
  /** Packets lack one of their halves. */
  readonly hasHalves: boolean;
  /** It has a file to which packets go. */
  readonly hasFile: boolean;
  /** Packets received since it began. */
  readonly packets: number;
}

/** See the file's head. */
export class ChunkSwitch {
  #change: ChunkChange | undefined;
  /** Of the last committed packet; undefined: there is none, or they are not numbered. */
  #lastPacketSeqNum: bigint | undefined;
  /** Packets received when the producer was last told that nothing is pending. */
  #settledPackets = -1;

  /** `lastPacketSeqNum`: of what was stored before. */
  constructor(lastPacketSeqNum: bigint | undefined) {
    this.#lastPacketSeqNum = lastPacketSeqNum;
  }

  /** Whether a change waits for packets. */
  get isPending(): boolean {
    return this.#change !== undefined;
  }

  /** A change is asked for; `hasFile`: packets have a file to go to. */
  ask(change: ChunkChange, hasFile: boolean): void {
    // Only a stopped session goes over to no chunk, and one that has none is stopped: that nothing was pending tells
    // then that nothing comes. A running session may have been asked long ago.
    if (change.next !== undefined && hasFile) this.#settledPackets = -1;
    this.#change = change;
  }

  /** It is done, or given up: nothing is pending any more. */
  take(): ChunkChange | undefined {
    const change = this.#change;
    this.#change = undefined;
    return change;
  }

  /** A packet is committed. */
  committed(packetSeqNum: bigint): void {
    this.#lastPacketSeqNum = packetSeqNum;
  }

  /** The producer was told that nothing is pending when `packets` were received. */
  settled(packets: number): void {
    this.#settledPackets = packets;
  }

  /** Whether the record of a packet belongs behind a split that is pending, into a file that is not there yet. */
  isBehind({ packetSeqNum }: Index): boolean {
    return (
      this.#change?.next !== undefined &&
      packetSeqNum !== undefined &&
      packetSeqNum >= this.#change.atPacketSeqNum
    );
  }

  /**
   * Whether the stream may go over: the first packet that is not committed lies behind the split, or there is none and
   * it may go over where its file ends.
   */
  isDue({ first, hasHalves, hasFile, packets }: StreamPosition): boolean {
    const change = this.#change;
    if (change === undefined) return false;
    const { atPacketSeqNum: at, next } = change;
    const reached = isReached(this.#lastPacketSeqNum, at);
    // As in `ask`: of a running session, that nothing is pending does not tell that nothing comes.
    const stopped = next === undefined || !hasFile;
    const settled = stopped && this.#settledPackets === packets;
    if (first === undefined && !hasHalves) return reached || settled;
    // Without a next chunk there is no file for it: what has come, and what was announced, stays.
    if (next === undefined) return false;
    return reached || (first?.index?.packetSeqNum ?? -1n) >= at;
  }
}

/** Whether the packet after `last` belongs behind a split at `at`. Numbers may jump over it, never back. */
function isReached(last: bigint | undefined, at: bigint): boolean {
  return at === 0n || (last !== undefined && last + 1n >= at);
}
