import { setTimeout as delay } from 'node:timers/promises';

/** Lets what was recorded happen at the recorded pace, or `speed` times as fast; without `speed`, at once. */
export class Tempo {
  readonly #speed: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #startMs = performance.now();
  #firstNs: bigint | undefined;
  /** From the first moment that was asked for to the last. */
  recordedMs = 0;

  constructor(speed: number | undefined, signal: AbortSignal | undefined) {
    this.#speed = speed;
    this.#signal = signal;
  }

  /** From the beginning until now. */
  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  /** Resolves when it is time for what was recorded at `timeNs`. Rejects with the signal's reason. */
  async until(timeNs: bigint): Promise<void> {
    this.#signal?.throwIfAborted();
    this.#firstNs ??= timeNs;
    this.recordedMs = Math.max(this.recordedMs, Number(timeNs - this.#firstNs) / 1e6);
    if (this.#speed === undefined) return;
    const waitMs = Number(timeNs - this.#firstNs) / 1e6 / this.#speed - this.elapsedMs;
    if (waitMs > 0) await delay(waitMs, undefined, this.#signal && { signal: this.#signal });
  }
}
