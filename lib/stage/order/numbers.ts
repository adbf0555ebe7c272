/**
 * How far one stream is, by net sequence number: which packet's data is due, and which indexes have passed. Numbers
 * count modulo 2^64 and are compared by their signed difference (relay-protocol §11.1).
 *
 * What is remembered are the halves only: indexes whose data is missing, and numbers that came before their turn.
 */
import type { Index } from '../frames.ts';

/** See the file's head. Everything is undefined until `begin` has told the first number. */
export class PacketNumbers {
  #next: bigint | undefined;
  /** The first number whose index has not passed. */
  #indexNext = 0n;
  /** Numbers behind `#indexNext` whose index has passed. */
  #indexedAhead = new Set<bigint>();
  /** Indexes whose data has not passed. */
  #waiting = new Map<bigint, Index>();

  /** The packet whose data is due. */
  get next(): bigint | undefined {
    return this.#next;
  }

  /** The last packet whose data has passed or was lost. */
  get last(): bigint | undefined {
    return this.#next === undefined || this.#next === this.#first ? undefined : previous(this.#next);
  }
  #first: bigint | undefined;

  begin(netSeqNum: bigint): void {
    this.#next = netSeqNum;
    this.#first = netSeqNum;
    this.#indexNext = netSeqNum;
  }

  /** Packets from the one that is due to this one: 0 = it is due, negative = its data has passed. */
  ahead(netSeqNum: bigint): number {
    return distance(netSeqNum, this.#next ?? netSeqNum);
  }

  /** The data of the packet that was due has passed, or never will. */
  advance(): void {
    if (this.#next === undefined) return;
    this.#waiting.delete(this.#next);
    this.#next = following(this.#next);
  }

  /** The index of a packet has passed. */
  index(index: Index): void {
    if (this.ahead(index.netSeqNum) >= 0) this.#waiting.set(index.netSeqNum, index);
    this.settleIndex(index.netSeqNum);
  }

  /** There is nothing to wait for any more: the index has passed, or never will. */
  settleIndex(netSeqNum: bigint): void {
    if (netSeqNum !== this.#indexNext) {
      if (distance(netSeqNum, this.#indexNext) > 0) this.#indexedAhead.add(netSeqNum);
      return;
    }
    do {
      this.#indexNext = following(this.#indexNext);
    } while (this.#indexedAhead.delete(this.#indexNext));
  }

  hasIndex(netSeqNum: bigint): boolean {
    return distance(netSeqNum, this.#indexNext) < 0 || this.#indexedAhead.has(netSeqNum);
  }

  /** The announced index of a packet whose data has not passed. */
  waitingIndex(netSeqNum: bigint): Index | undefined {
    return this.#waiting.get(netSeqNum);
  }

  /** An index has announced a packet whose data has not passed. */
  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Data and index of this packet and of all before it have passed, or are known to be lost. */
  isComplete(netSeqNum: bigint): boolean {
    return this.#next !== undefined && this.ahead(netSeqNum) < 0 && distance(netSeqNum, this.#indexNext) < 0;
  }

  /** Packets that are half there, at most: data without index or index without data. */
  get halves(): number {
    return Math.abs(this.ahead(this.#indexNext)) + this.#indexedAhead.size;
  }

  /** Numbers whose data has passed and whose index has not. */
  unindexed(): bigint[] {
    const found: bigint[] = [];
    for (let at = this.#indexNext; this.#next !== undefined && this.ahead(at) < 0; at = following(at)) {
      if (!this.#indexedAhead.has(at)) found.push(at);
    }
    return found;
  }
}

const distance = (a: bigint, b: bigint): number => Number(BigInt.asIntN(64, a - b));
const following = (n: bigint): bigint => BigInt.asUintN(64, n + 1n);
const previous = (n: bigint): bigint => BigInt.asUintN(64, n - 1n);
