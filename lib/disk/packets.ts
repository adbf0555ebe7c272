/** Packets on their way to being committed: what is known of each, and which half is missing. */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Index } from '../stage/frames.ts';
import type { Tracefile } from './tracefile.ts';

/** A packet that is not committed. */
export interface Packet {
  readonly netSeqNum: bigint;
  /** Where its data is, or is going; undefined: only its index has come. */
  tracefile: Tracefile | undefined;
  /** Its place in the tracefile. `endBytes` is -1 until its data is there whole; `startBytes` is if it was lost. */
  startBytes: number;
  endBytes: number;
  index: Index | undefined;
  /** Nothing of it is missing in the files. */
  recorded: boolean;
}

/** Joins the two halves of packets, which come on two connections in either order; one table a stream. */
export class HalfPackets {
  readonly #stream: number;
  readonly #halves = new Map<bigint, Packet>();

  constructor(stream: number) {
    this.#stream = stream;
  }

  get size(): number {
    return this.#halves.size;
  }

  /** Packets whose index has come and whose data is not whole. */
  *announced(): Generator<Index> {
    for (const { index, endBytes } of this.#halves.values())
      if (endBytes < 0 && index !== undefined) yield index;
  }

  numbers(): Iterable<bigint> {
    return this.#halves.keys();
  }

  /**
   * A packet's data is whole. Returns whether the packet is complete. Errors: MR_ERR_RELAY_INDEX when an earlier
   * copy of it still lacks its index, or when too many packets lack a half.
   */
  addData(packet: Packet): boolean {
    const half = this.#halves.get(packet.netSeqNum);
    if (half === undefined) {
      this.#hold(packet);
      return false;
    }
    if (half.endBytes >= 0)
      throw this.#refused(packet.netSeqNum, 'came twice, and its first copy has no index yet');
    packet.index = half.index;
    this.#halves.delete(packet.netSeqNum);
    return true;
  }

  /** A packet's index has come. Returns the packet if it is complete. Errors: as `addData`. */
  addIndex(index: Index): Packet | undefined {
    const { netSeqNum } = index;
    const half = this.#halves.get(netSeqNum);
    if (half === undefined) {
      this.#hold({ netSeqNum, tracefile: undefined, startBytes: -1, endBytes: -1, index, recorded: false });
      return undefined;
    }
    if (half.index !== undefined) throw this.#refused(netSeqNum, 'was indexed twice before its data came');
    half.index = index;
    this.#halves.delete(netSeqNum);
    return half;
  }

  /** A packet will never be complete: the half of it that has come, if any. */
  take(netSeqNum: bigint): Packet | undefined {
    const half = this.#halves.get(netSeqNum);
    this.#halves.delete(netSeqNum);
    return half;
  }

  clear(): void {
    this.#halves.clear();
  }

  #hold(packet: Packet): void {
    const { halfPacketsPerStream } = limits;
    if (this.#halves.size >= halfPacketsPerStream)
      throw this.#refused(packet.netSeqNum, `is one of more than ${halfPacketsPerStream} that lack a half`);
    this.#halves.set(packet.netSeqNum, packet);
  }

  #refused(packet: bigint, why: string): MillraceError {
    return new MillraceError('MR_ERR_RELAY_INDEX', { stream: this.#stream, packet, why });
  }
}
