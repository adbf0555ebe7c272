/** A slow link: everything arrives, later. */
import type { Duplex } from 'node:stream';
import { type Clock, machineClock, timedStage } from './timed.ts';

/**
 * Hands each batch (bytes or frames) on `delayMs` after it came, in order. `batches`: how many may be under way, 16
 * by default; more are not taken in, so that a long delay also bounds the throughput.
 */
export function delay(options: { delayMs: number; batches?: number; clock?: Clock }): Duplex {
  const { delayMs, batches = 16, clock = machineClock } = options;
  return timedStage({ batches, clock, dueMs: (_batch, nowMs) => nowMs + delayMs });
}
