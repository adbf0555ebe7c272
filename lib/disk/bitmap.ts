/**
 * A bit a block, and above it a bit for every 32 words of bits, so that the next set bit of a mostly clear map is found
 * without looking at all of it. The primitive under the allocation map and the dirty map.
 */
import assert from 'node:assert';

const wordBits = 32;

/** `blocks` bits, all clear at first. Ranges are `[from, to)` in blocks and must lie within. */
export class Bitmap {
  readonly blocks: number;
  readonly #words: Uint32Array;
  /** Bit n: one of the words [32 n, 32 n + 32) is not zero. */
  readonly #summary: Uint32Array;
  #count = 0;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.#words = new Uint32Array(Math.ceil(blocks / wordBits));
    this.#summary = new Uint32Array(Math.ceil(this.#words.length / wordBits / wordBits));
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  has(block: number): boolean {
    return (((this.#words[block >>> 5] ?? 0) >>> (block & 31)) & 1) === 1;
  }

  set(from: number, to: number): void {
    this.#each(from, to, (word, bits) => {
      const before = this.#words[word] as number;
      this.#words[word] = before | bits;
      this.#count += ones(bits & ~before);
      const group = word >>> 5;
      this.#summary[group >>> 5] = (this.#summary[group >>> 5] as number) | (1 << (group & 31));
    });
  }

  clear(from: number, to: number): void {
    this.#each(from, to, (word, bits) => {
      const before = this.#words[word] as number;
      this.#words[word] = before & ~bits;
      this.#count -= ones(bits & before);
      if (before !== 0 && this.#words[word] === 0) this.#summarize(word >>> 5);
    });
  }

  /** The first set bit of the range, or `to`. */
  nextSet(from: number, to: number): number {
    if (from >= to) return to;
    const start = from >>> 5;
    const rest = ((this.#words[start] ?? 0) & (-1 << (from & 31))) >>> 0;
    if (rest !== 0) return Math.min(start * wordBits + lowest(rest), to);
    const end = Math.ceil(to / wordBits);
    for (let word = start + 1; word < end; word += 1) {
      if (word % wordBits === 0) {
        word = this.#nextGroup(word / wordBits) * wordBits;
        if (word >= end) break;
      }
      const bits = this.#words[word] as number;
      if (bits !== 0) return Math.min(word * wordBits + lowest(bits), to);
    }
    return to;
  }

  /** The first clear bit of the range, or `to`. */
  nextClear(from: number, to: number): number {
    for (let block = from; block < to; ) {
      const bit = block & 31;
      const clear = (~(this.#words[block >>> 5] as number) & (-1 << bit)) >>> 0;
      if (clear !== 0) return Math.min(block - bit + lowest(clear), to);
      block += wordBits - bit;
    }
    return to;
  }

  /** Calls `act` for every word that holds some of the bits [from, to), with those in it. */
  #each(from: number, to: number, act: (word: number, bits: number) => void): void {
    assert(from >= 0 && to <= this.blocks, 'a range outside of the bitmap');
    for (let block = from; block < to; ) {
      const bit = block & 31;
      const count = Math.min(wordBits - bit, to - block);
      act(block >>> 5, count === wordBits ? -1 : ((1 << count) - 1) << bit);
      block += count;
    }
  }

  /** The words of the group may all be zero by now. */
  #summarize(group: number): void {
    for (let word = group * wordBits; word < (group + 1) * wordBits; word += 1)
      if ((this.#words[word] ?? 0) !== 0) return;
    this.#summary[group >>> 5] = (this.#summary[group >>> 5] as number) & ~(1 << (group & 31));
  }

  /** First group at or behind `from` with a set bit; one behind the last where there is none. */
  #nextGroup(from: number): number {
    for (let at = from >>> 5; at < this.#summary.length; at += 1) {
      const mask = at === from >>> 5 ? -1 << (from & 31) : -1;
      const bits = ((this.#summary[at] as number) & mask) >>> 0;
      if (bits !== 0) return at * wordBits + lowest(bits);
    }
    return this.#words.length;
  }
}

function lowest(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function ones(bits: number): number {
  let pairs = bits - ((bits >>> 1) & 0x5555_5555);
  pairs = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
