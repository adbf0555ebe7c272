/** A bit per block, from block 0 on. The primitive under the allocation map and the dirty map. */
import assert from 'node:assert';

/** `blocks` bits, all clear at first. Ranges are `[from, to)` in blocks and must lie within. */
export class Bitmap {
  readonly blocks: number;
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.#bytes = new Uint8Array(Math.ceil(blocks / 8));
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  has(block: number): boolean {
    return (((this.#bytes[block >>> 3] ?? 0) >>> (block & 7)) & 1) === 1;
  }

  set(from: number, to: number): void {
    this.#change(from, to, true);
  }

  clear(from: number, to: number): void {
    this.#change(from, to, false);
  }

  /** The first set bit of the range, or `to`. */
  nextSet(from: number, to: number): number {
    return this.#next(from, to, 0x00);
  }

  /** The first clear bit of the range, or `to`. */
  nextClear(from: number, to: number): number {
    return this.#next(from, to, 0xff);
  }

  /** The first bit that is not as the bits of `skip`, which is a byte of equal bits. */
  #next(from: number, to: number, skip: number): number {
    const bytes = this.#bytes;
    let at = from;
    while (at < to) {
      const byte = bytes[at >>> 3] as number;
      if (byte === skip) {
        at = ((at >>> 3) + 1) << 3;
        continue;
      }
      if (((byte >>> (at & 7)) & 1) !== (skip & 1)) return at;
      at += 1;
    }
    return to;
  }

  #change(from: number, to: number, on: boolean): void {
    assert(from >= 0 && to <= this.blocks, 'a range outside of the bitmap');
    let at = from;
    while (at < to && (at & 7) !== 0) this.#changeOne(at++, on);
    const lastByte = to >>> 3;
    for (let byte = at >>> 3; byte < lastByte && at < to; byte += 1, at += 8) {
      this.#count += on ? 8 - ones(this.#bytes[byte] as number) : -ones(this.#bytes[byte] as number);
      this.#bytes[byte] = on ? 0xff : 0;
    }
    while (at < to) this.#changeOne(at++, on);
  }

  #changeOne(block: number, on: boolean): void {
    if (this.has(block) === on) return;
    const byte = block >>> 3;
    this.#bytes[byte] = (this.#bytes[byte] as number) ^ (1 << (block & 7));
    this.#count += on ? 1 : -1;
  }
}

function ones(byte: number): number {
  let left = byte;
  let count = 0;
  for (; left !== 0; left &= left - 1) count += 1;
  return count;
}
