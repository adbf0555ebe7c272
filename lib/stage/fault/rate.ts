/** A narrow link: so many bytes a second and no more. */
import type { Duplex } from 'node:stream';
import type { ByteBatch, FrameBatch } from '../batch.ts';
import { type Clock, machineClock, timedStage } from './timed.ts';

/**
 * Hands each batch on when its last byte has crossed a link of `bytesPerSecond`; of frames, the bytes of data and
 * metadata count. The account is exact: a link that is never idle has passed n bytes after n / bytesPerSecond, however
 * they were cut into batches. `batches`: how many may wait, 2 by default.
 */
export function rate(options: { bytesPerSecond: number; batches?: number; clock?: Clock }): Duplex {
  const { bytesPerSecond, batches = 2, clock = machineClock } = options;
  let busySinceMs = 0;
  let busyBytes = 0;
  const freeMs = (): number => busySinceMs + (busyBytes * 1000) / bytesPerSecond;
  return timedStage({
    batches,
    clock,
    dueMs(batch, nowMs) {
      if (freeMs() <= nowMs) {
        busySinceMs = nowMs;
        busyBytes = 0;
      }
      // one sum and one division: nothing is rounded twice
      busyBytes += sizeBytes(batch);
      return freeMs();
    },
  });
}

function sizeBytes(batch: ByteBatch | FrameBatch): number {
  if (!('frames' in batch)) return batch.end - batch.start;
  let sum = 0;
  for (const frame of batch.frames) {
    if (frame.kind === 'data' || frame.kind === 'metadata') sum += frame.end - frame.start;
  }
  return sum;
}
