/**
 * Which blocks of an image may hold data. A clear bit of a map that is built means: a hole, reads as zeroes. It is
 * built in the background while the image is served, in bounded steps; bits are set before a write begins and
 * cleared after a hole was made, so it never promises a hole where there is none. Without one nothing is known, and
 * nothing else changes. Source: nbd-migration, C.7.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { why } from '../errors.ts';
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import { Bitmap } from './bitmap.ts';

/** One run of data, bytes. */
export interface DataRun {
  start: number;
  end: number;
}

/**
 * Finds data in `[from, to)`: at most `most` runs, and `next`, up to which it has looked (more than `from`).
 * Rejects where the file system does not say.
 */
export type ExtentSource = (
  from: number,
  to: number,
  most: number,
) => Promise<{ runs: DataRun[]; next: number }>;

/** Bytes that one bit stands for at least. Source: nbd-migration, C.7. */
const blockBytes = 4096;

/** See the file's head. */
export class AllocationMap {
  /** Bytes that one bit stands for: 4096, in images of more than 256 GiB more. */
  readonly blockBytes: number;
  readonly sizeBytes: number;
  readonly #bits: Bitmap;
  #state: 'building' | 'built' | 'unknown' = 'building';

  /** `sizeBytes`: of the image. */
  constructor(sizeBytes: number) {
    let size = blockBytes;
    while (sizeBytes / size / 8 > limits.allocationMapBytes) size *= 2;
    this.blockBytes = size;
    this.sizeBytes = sizeBytes;
    this.#bits = new Bitmap(Math.ceil(sizeBytes / size));
  }

  /** `unknown`: the file system does not say, or it was called off. */
  get state(): 'building' | 'built' | 'unknown' {
    return this.#state;
  }

  /** Bytes in blocks that may hold data. */
  get allocatedBytes(): number {
    return Math.min(this.#bits.count * this.blockBytes, this.sizeBytes);
  }

  /**
   * Builds the map, one step a turn of the event loop. `from`: where to begin; what lies before must be marked
   * already. Never rejects: a failure is told once, and leaves the state `unknown`, as the signal does.
   */
  async build(source: ExtentSource, signal: AbortSignal, from = 0): Promise<void> {
    const { allocationStepBytes, allocationStepExtents } = limits;
    // an end does not wait for a step that takes long
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('called off')), { once: true });
    });
    aborted.catch(() => undefined);
    try {
      for (let at = from; at < this.sizeBytes; ) {
        const to = Math.min(at + allocationStepBytes, this.sizeBytes);
        const { runs, next } = await Promise.race([source(at, to, allocationStepExtents), aborted]);
        for (const { start, end } of runs) this.mark(start, end);
        at = next;
        await nextTurn();
        signal.throwIfAborted();
      }
      this.#state = 'built';
    } catch (error) {
      this.#state = 'unknown';
      if (!signal.aborted)
        tell('warn', 'disk:no-allocation-map', `no allocation map, writes are not sparse: ${why(error)}`);
    }
  }

  /** Data may be in `[start, end)` from now on. */
  mark(start: number, end: number): void {
    this.#bits.set(Math.floor(start / this.blockBytes), Math.ceil(end / this.blockBytes));
  }

  /** `[start, end)` has become a hole: whole blocks in it are known to be empty. */
  unmark(start: number, end: number): void {
    const first = Math.ceil(start / this.blockBytes);
    const behind = end >= this.sizeBytes ? this.#bits.blocks : Math.floor(end / this.blockBytes);
    if (first < behind) this.#bits.clear(first, behind);
  }

  /** Takes over what another map of a smaller image knows. */
  adopt(other: AllocationMap): void {
    for (let at = 0; at < other.sizeBytes; ) {
      const run = other.run(at, other.sizeBytes);
      if (!run.hole) this.mark(at, run.end);
      at = run.end;
    }
  }

  /** Whether no part of `[start, end)` is known to be a hole. */
  isData(start: number, end: number): boolean {
    if (this.#state !== 'built') return true;
    const behind = Math.ceil(end / this.blockBytes);
    return this.#bits.nextClear(Math.floor(start / this.blockBytes), behind) === behind;
  }

  /** From `start` to `end`, how far it stays the same: `end` at the most. Only what is built says `hole`. */
  run(start: number, end: number): { hole: boolean; end: number } {
    if (this.#state !== 'built') return { hole: false, end };
    return this.#run(start, end);
  }

  #run(start: number, end: number): { hole: boolean; end: number } {
    const first = Math.floor(start / this.blockBytes);
    const behind = Math.ceil(end / this.blockBytes);
    const hole = !this.#bits.has(first);
    const next = hole ? this.#bits.nextSet(first, behind) : this.#bits.nextClear(first, behind);
    return { hole, end: Math.min(next * this.blockBytes, end) };
  }
}
