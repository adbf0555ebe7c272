/** Which bytes of a disk were written: exact, as ranges that do not touch, in ascending order. */
import { limits } from '../../limits.ts';

/**
 * See the file's head. A source that sends its disk in order makes one range of it. More than `most` ranges are not kept:
 * what comes then and joins none of them counts as not written.
 */
export class Coverage {
  /** `[start, end)` of each range, one after the other. */
  #edges: number[] = [];
  readonly #most: number;

  constructor(most: number = limits.coverageRanges) {
    this.#most = most;
  }

  get ranges(): number {
    return this.#edges.length / 2;
  }

  add(offset: number, lengthBytes: number): void {
    if (lengthBytes === 0) return;
    const end = offset + lengthBytes;
    // ranges [first, behind) touch or overlap the new one
    const first = this.#firstEndingAt(offset);
    let behind = first;
    while (behind < this.ranges && (this.#edges[behind * 2] as number) <= end) behind += 1;
    if (first === behind) {
      if (this.ranges < this.#most) this.#edges.splice(first * 2, 0, offset, end);
      return;
    }
    const start = Math.min(offset, this.#edges[first * 2] as number);
    const stop = Math.max(end, this.#edges[behind * 2 - 1] as number);
    if (behind - first === 1) {
      this.#edges[first * 2] = start;
      this.#edges[first * 2 + 1] = stop;
    } else this.#edges.splice(first * 2, (behind - first) * 2, start, stop);
  }

  /** Whether `[0, sizeBytes)` was written whole. */
  covers(sizeBytes: number): boolean {
    return sizeBytes === 0 || (this.#edges[0] === 0 && (this.#edges[1] as number) >= sizeBytes);
  }

  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.#edges.length; i += 2)
      sum += (this.#edges[i + 1] as number) - (this.#edges[i] as number);
    return sum;
  }

  clear(): void {
    this.#edges = [];
  }

  /** The first range that ends at or behind `offset`. */
  #firstEndingAt(offset: number): number {
    let low = 0;
    let high = this.ranges;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#edges[middle * 2 + 1] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
