/**
 * Which parts of a disk were written since they were last sent: a bit a block, and above it a bit for every 32 words of
 * bits, so that the next dirty block of a mostly clean disk is found without looking at all of it.
 */
import assert from 'node:assert';
import { limits } from '../limits.ts';

/** A run of bytes of a disk. */
export interface Run {
  offset: number;
  lengthBytes: number;
}

const wordBits = 32;

/**
 * The block size of a map for a disk of `sizeBytes`: 4096, doubled until the map takes at most
 * `limits.dirtyMapBytes`.
 */
export function dirtyBlockBytes(sizeBytes: number, mapBytes: number = limits.dirtyMapBytes): number {
  let blockBytes = 4096;
  while (sizeBytes / blockBytes / 8 > mapBytes) blockBytes *= 2;
  return blockBytes;
}

/**
 * See the file's head. Clean at first. `sizeBytes`: of the disk; its last block may be short. `blockBytes`: a power of
 * two. Offsets and lengths are bytes; what lies beyond the disk is a bug of the caller.
 */
export class DirtyMap {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly #blocks: number;
  readonly #words: Uint32Array;
  /** Bit n: one of the words [32 n, 32 n + 32) is not zero. */
  readonly #summary: Uint32Array;
  #dirtyBlocks = 0;

  constructor(sizeBytes: number, blockBytes: number = dirtyBlockBytes(sizeBytes)) {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && Number.isSafeInteger(Math.log2(blockBytes)));
    this.sizeBytes = sizeBytes;
    this.blockBytes = blockBytes;
    this.#blocks = Math.ceil(sizeBytes / blockBytes);
    this.#words = new Uint32Array(Math.ceil(this.#blocks / wordBits));
    this.#summary = new Uint32Array(Math.ceil(this.#words.length / wordBits / wordBits));
  }

  /** Bytes in dirty blocks. */
  get dirtyBytes(): number {
    const last = this.#blocks - 1;
    const short = this.#blocks * this.blockBytes - this.sizeBytes;
    return this.#dirtyBlocks * this.blockBytes - (last >= 0 && this.#isDirty(last) ? short : 0);
  }

  get isClean(): boolean {
    return this.#dirtyBlocks === 0;
  }

  /** Whether the block of this byte is dirty. */
  has(offset: number): boolean {
    return this.#isDirty(Math.floor(offset / this.blockBytes));
  }

  /** Marks every block that the range touches; returns the bytes of those that were clean. */
  mark(offset: number, lengthBytes: number): number {
    this.#check(offset, lengthBytes);
    if (lengthBytes === 0) return 0;
    const before = this.dirtyBytes;
    const end = Math.floor((offset + lengthBytes - 1) / this.blockBytes) + 1;
    this.#each(Math.floor(offset / this.blockBytes), end, (word, bits) => {
      const was = this.#words[word] as number;
      this.#words[word] = was | bits;
      this.#dirtyBlocks += bitCount(bits & ~was);
      const group = Math.floor(word / wordBits);
      const at = group >>> 5;
      this.#summary[at] = (this.#summary[at] as number) | (1 << (group & 31));
    });
    return this.dirtyBytes - before;
  }

  /** Cleans every block that the range touches. */
  clean(offset: number, lengthBytes: number): void {
    this.#check(offset, lengthBytes);
    if (lengthBytes === 0) return;
    const end = Math.floor((offset + lengthBytes - 1) / this.blockBytes) + 1;
    this.#each(Math.floor(offset / this.blockBytes), end, (word, bits) => {
      const before = this.#words[word] as number;
      this.#words[word] = before & ~bits;
      this.#dirtyBlocks -= bitCount(bits & before);
      if (before !== 0 && this.#words[word] === 0) this.#summarize(Math.floor(word / wordBits));
    });
  }

  markAll(): void {
    this.mark(0, this.sizeBytes);
  }

  /**
   * The first dirty run at or behind `from` (its block included), cut to at most `maxBytes`, a multiple of the block
   * size; undefined: there is none up to the end of the disk.
   */
  next(from: number, maxBytes: number): Run | undefined {
    assert(maxBytes >= this.blockBytes && maxBytes % this.blockBytes === 0);
    const first = this.#find(Math.floor(from / this.blockBytes));
    if (first === undefined) return undefined;
    const most = Math.min(first + maxBytes / this.blockBytes, this.#blocks);
    const end = this.#endOfRun(first, most);
    const offset = first * this.blockBytes;
    return { offset, lengthBytes: Math.min(end * this.blockBytes, this.sizeBytes) - offset };
  }

  /** As `next`, and the run is clean from now on: it is about to be read and sent. */
  take(from: number, maxBytes: number): Run | undefined {
    const run = this.next(from, maxBytes);
    if (run !== undefined) this.clean(run.offset, run.lengthBytes);
    return run;
  }

  #check(offset: number, lengthBytes: number): void {
    assert(
      offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.sizeBytes,
      'a range beyond the disk',
    );
  }

  #isDirty(block: number): boolean {
    return (((this.#words[block >>> 5] ?? 0) >>> (block & 31)) & 1) === 1;
  }

  /** Calls `act` for every word that holds some of the blocks [first, end), with their bits in it. */
  #each(first: number, end: number, act: (word: number, bits: number) => void): void {
    for (let block = first; block < end; ) {
      const bit = block & 31;
      const count = Math.min(wordBits - bit, end - block);
      act(block >>> 5, count === wordBits ? -1 : ((1 << count) - 1) << bit);
      block += count;
    }
  }

  /** The words of the group may all be zero by now. */
  #summarize(group: number): void {
    for (let word = group * wordBits; word < (group + 1) * wordBits; word += 1)
      if ((this.#words[word] ?? 0) !== 0) return;
    const at = group >>> 5;
    this.#summary[at] = (this.#summary[at] as number) & ~(1 << (group & 31));
  }

  /** First dirty block at or behind `from`. */
  #find(from: number): number | undefined {
    const start = from >>> 5;
    const rest = ((this.#words[start] ?? 0) & (-1 << (from & 31))) >>> 0;
    if (rest !== 0) return start * wordBits + lowestBit(rest);
    for (let word = start + 1; word < this.#words.length; word += 1) {
      if (word % wordBits === 0) {
        const group = this.#findGroup(word / wordBits);
        if (group === undefined) return undefined;
        word = Math.max(word, group * wordBits);
      }
      const bits = this.#words[word] ?? 0;
      if (bits !== 0) return word * wordBits + lowestBit(bits);
    }
    return undefined;
  }

  #findGroup(from: number): number | undefined {
    const start = from >>> 5;
    for (let at = start; at < this.#summary.length; at += 1) {
      const bits = ((this.#summary[at] as number) & (at === start ? -1 << (from & 31) : -1)) >>> 0;
      if (bits !== 0) return at * wordBits + lowestBit(bits);
    }
    return undefined;
  }

  /** First clean block behind `first`, at most `most`. */
  #endOfRun(first: number, most: number): number {
    for (let block = first; block < most; ) {
      const bit = block & 31;
      const clean = (~(this.#words[block >>> 5] as number) & (-1 << bit)) >>> 0;
      if (clean !== 0) return Math.min((block >>> 5) * wordBits + lowestBit(clean), most);
      block += wordBits - bit;
    }
    return most;
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function bitCount(bits: number): number {
  let pairs = bits - ((bits >>> 1) & 0x5555_5555);
  pairs = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
