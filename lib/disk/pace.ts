/**
 * Decides how to write. A small write into the page cache costs less than handing it to the thread pool
 * (20-30 us), so writes are made at once; but a disk that has begun to stall must not stop the other sessions,
 * so once slow writes have added up everything goes through the pool until the disk has been quick for a while.
 *
 * One slow write proves nothing: on a busy machine the scheduler takes the processor away in the middle of a
 * write as well, while the disk is as quick as ever.
 *
 * With `MILLRACE_SLOW_DISK=1` in the environment every disk counts as slow for ever: for tests, which run on quick ones.
 */

/** Below this a write is quick: about what the scheduler takes away at a time. */
const slowMs = 30;
/** Slow writes of `windowMs` that the event loop bears: less than one sleep of a kernel whose disk cannot follow. */
const stallMs = 150;
const windowMs = 1000;
const holdMs = 500;

/** Pace of one output directory. `clock`: milliseconds, injectable for tests. */
export class Pace {
  #poolUntilMs = process.env.MILLRACE_SLOW_DISK === '1' ? Number.POSITIVE_INFINITY : 0;
  /** Time that slow writes took since `#windowFromMs`. */
  #slowMs = 0;
  #windowFromMs = 0;
  readonly #clock: () => number;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock();
  }

  /** Whether the next write should be made at once, on the event loop. */
  get quick(): boolean {
    return this.#poolUntilMs === 0 || this.#clock() >= this.#poolUntilMs;
  }

  /** Reports what a write took since `startedMs`. */
  took(startedMs: number): void {
    const nowMs = this.#clock();
    if (nowMs - startedMs <= slowMs) return;
    if (startedMs - this.#windowFromMs > windowMs) {
      this.#windowFromMs = startedMs;
      this.#slowMs = 0;
    }
    this.#slowMs += nowMs - startedMs;
    if (this.#slowMs > stallMs) this.#poolUntilMs = Math.max(this.#poolUntilMs, nowMs + holdMs);
  }
}
