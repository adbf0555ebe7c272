/** Which parts of a disk were written since they were last sent: a bit a block. */
import assert from 'node:assert';
import { limits } from '../limits.ts';
import { Bitmap } from './bitmap.ts';

/** A run of bytes of a disk. */
export interface Run {
  offset: number;
  lengthBytes: number;
}

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
  readonly #bits: Bitmap;

  constructor(sizeBytes: number, blockBytes: number = dirtyBlockBytes(sizeBytes)) {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && Number.isSafeInteger(Math.log2(blockBytes)));
    this.sizeBytes = sizeBytes;
    this.blockBytes = blockBytes;
    this.#bits = new Bitmap(Math.ceil(sizeBytes / blockBytes));
  }

  /** Bytes in dirty blocks. */
  get dirtyBytes(): number {
    const { blocks, count } = this.#bits;
    const shortBytes = blocks * this.blockBytes - this.sizeBytes;
    return count * this.blockBytes - (blocks > 0 && this.#bits.has(blocks - 1) ? shortBytes : 0);
  }

  get isClean(): boolean {
    return this.#bits.count === 0;
  }

  /** Whether the block of this byte is dirty. */
  has(offset: number): boolean {
    return this.#bits.has(Math.floor(offset / this.blockBytes));
  }

  /** Marks every block that the range touches; returns the bytes of those that were clean. */
  mark(offset: number, lengthBytes: number): number {
    const before = this.dirtyBytes;
    this.#bits.set(...this.#blocks(offset, lengthBytes));
    return this.dirtyBytes - before;
  }

  /** Cleans every block that the range touches. */
  clean(offset: number, lengthBytes: number): void {
    this.#bits.clear(...this.#blocks(offset, lengthBytes));
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
    const { blocks } = this.#bits;
    const first = this.#bits.nextSet(Math.floor(from / this.blockBytes), blocks);
    if (first >= blocks) return undefined;
    const end = this.#bits.nextClear(first, Math.min(first + maxBytes / this.blockBytes, blocks));
    const offset = first * this.blockBytes;
    return { offset, lengthBytes: Math.min(end * this.blockBytes, this.sizeBytes) - offset };
  }

  /** As `next`, and the run is clean from now on: it is about to be read and sent. */
  take(from: number, maxBytes: number): Run | undefined {
    const run = this.next(from, maxBytes);
    if (run !== undefined) this.clean(run.offset, run.lengthBytes);
    return run;
  }

  /** The blocks that a range touches, as `[from, to)`. */
  #blocks(offset: number, lengthBytes: number): [from: number, to: number] {
    const end = offset + lengthBytes;
    assert(offset >= 0 && lengthBytes >= 0 && end <= this.sizeBytes, 'a range beyond the disk');
    const from = Math.floor(offset / this.blockBytes);
    return [from, lengthBytes === 0 ? from : Math.ceil(end / this.blockBytes)];
  }
}
