/**
 * How fast a migration goes, how fast it may go, and when it is close enough to its end to shut the clients out. Pure:
 * time comes in as an argument.
 */

/** Bytes a second over the last while: an estimate that follows a link whose speed changes. */
export class SpeedWindow {
  readonly #windowMs: number;
  #samples: Array<{ atMs: number; bytes: number }> = [];
  #sum = 0;
  readonly #startMs: number;

  /** `windowMs`: how far back it looks. Counting begins at `startMs`. */
  constructor(startMs: number, windowMs = 10_000) {
    this.#startMs = startMs;
    this.#windowMs = windowMs;
  }

  add(bytes: number, atMs: number): void {
    const last = this.#samples.at(-1);
    // one entry for every hundredth of the window
    if (last !== undefined && atMs - last.atMs < this.#windowMs / 100) last.bytes += bytes;
    else this.#samples.push({ atMs, bytes });
    this.#sum += bytes;
    this.#forget(atMs);
  }

  /** 0 before anything came. */
  bytesPerSecond(atMs: number): number {
    this.#forget(atMs);
    const overMs = Math.min(atMs - this.#startMs, this.#windowMs);
    return overMs <= 0 ? 0 : (this.#sum * 1000) / overMs;
  }

  #forget(atMs: number): void {
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - this.#windowMs)
      this.#sum -= this.#samples.shift()?.bytes ?? 0;
  }
}

/**
 * How long to wait before the next counted byte is sent so that the limit holds on average, milliseconds. Counting begins
 * anew when the limit changes. At most a second's worth that was not used may be caught up.
 */
export class RateLimit {
  #bytesPerSecond: number | undefined;
  #owedBytes = 0;
  #atMs: number;

  constructor(bytesPerSecond: number | undefined, atMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#atMs = atMs;
  }

  /** undefined: none. */
  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond;
  }

  set(bytesPerSecond: number | undefined, atMs: number): void {
    this.#bytesPerSecond = bytesPerSecond;
    this.#owedBytes = 0;
    this.#atMs = atMs;
  }

  sent(bytes: number, atMs: number): void {
    this.#pay(atMs);
    this.#owedBytes += bytes;
  }

  waitMs(atMs: number): number {
    this.#pay(atMs);
    if (this.#bytesPerSecond === undefined || this.#owedBytes <= 0) return 0;
    return Math.ceil((this.#owedBytes * 1000) / this.#bytesPerSecond);
  }

  #pay(atMs: number): void {
    const limit = this.#bytesPerSecond;
    if (limit !== undefined) {
      const paidBytes = ((atMs - this.#atMs) * limit) / 1000;
      this.#owedBytes = Math.max(this.#owedBytes - paidBytes, -limit);
    }
    this.#atMs = atMs;
  }
}

/** What a pass leaves behind. */
export interface PassEnd {
  /** Dirty when it ended: what the next one, or the final one, has to send. */
  dirtyBytes: number;
  /** Of the pass, over all that it took: sending, a flush, comparing. */
  bytesPerSecond: number;
  /** Passes in a row, with this one, that did not bring the dirty bytes a quarter below the least there was. */
  stuckPasses: number;
  /** Of this attempt, with this one. */
  passes: number;
  /** That ended with `hold`, before this one. */
  holds: number;
}

/** Bounds on the time that clients are shut out. */
export interface PauseBounds {
  /** What the final pass may take, as estimated before it begins, ms. */
  pauseMs: number;
  /**
   * What it may take when the clients write faster than the link carries, ms. Only where the link needs longer than
   * that for what the clients have in flight is it exceeded.
   */
  mostPauseMs: number;
}

/** `final`: shut the clients out. `again`: one more pass. `hold`: one more, with the clients' writes held back. */
export type Verdict = 'final' | 'again' | 'hold';

/** How many passes may fail to gain, one after the other, and how many there may be, before the clients are held back. */
export const patientPasses = 3;
export const mostFreePasses = 30;

/** How many passes there may be with the clients held back: halved each time, they leave nothing of any disk. */
export const mostHolds = 8;

/** How long the final pass would take, milliseconds. */
export function finalPassMs({
  dirtyBytes,
  bytesPerSecond,
}: Pick<PassEnd, 'dirtyBytes' | 'bytesPerSecond'>): number {
  if (dirtyBytes === 0) return 0;
  return bytesPerSecond <= 0 ? Number.POSITIVE_INFINITY : (dirtyBytes * 1000) / bytesPerSecond;
}

/**
 * What follows a pass. Passes get shorter as long as the link carries more than the clients write; where they do not,
 * the bound is doubled for every pass that gains nothing, up to `mostPauseMs`, and then the clients' writes are held back,
 * more for each pass (`throttle.ts`). After `mostFreePasses` and `mostHolds` it is final in any case: what is left then is
 * what the clients had in flight.
 */
export function afterPass(end: PassEnd, { pauseMs, mostPauseMs }: PauseBounds): Verdict {
  const { stuckPasses: stuck, passes, holds } = end;
  const boundMs = Math.max(pauseMs, Math.min(mostPauseMs, pauseMs * 2 ** stuck));
  if (finalPassMs(end) <= boundMs || holds >= mostHolds) return 'final';
  return holds > 0 || stuck >= patientPasses || passes >= mostFreePasses ? 'hold' : 'again';
}

/**
 * `stuckPasses` after a pass that left `dirtyBytes`; `leastBytes`: the least that one before it has left. Less than the pass
 * before is not enough: loads go up and down, and a little less every other time would never come to an end.
 */
export function stuckPasses(before: number, dirtyBytes: number, leastBytes: number): number {
  return dirtyBytes > leastBytes * 0.75 ? before + 1 : 0;
}
