/** A link that breaks at a chosen place, loudly or as if all had been sent. */
import type { Duplex } from 'node:stream';
import { MillraceError } from '../../errors.ts';
import { type ByteBatch, type FrameBatch, releaseBatch } from '../batch.ts';
import { objectStage } from '../stage.ts';

/**
 * Passes `afterBytes` bytes of ByteBatches, or `afterFrames` frames of FrameBatches, and then breaks: by default the
 * stage fails with MR_ERR_STAGE_CUT; with `silently` it ends, a truncation, and what still comes is released.
 */
export function cut(
  options: ({ afterBytes: number } | { afterFrames: number }) & { silently?: boolean },
): Duplex {
  const [unit, after] =
    'afterBytes' in options
      ? (['bytes', options.afterBytes] as const)
      : (['frames', options.afterFrames] as const);
  let left = after;
  let isCut = false;

  const stage: Duplex = objectStage<ByteBatch | FrameBatch, ByteBatch | FrameBatch>('cut', {
    transform(batch, push) {
      if (isCut) {
        releaseBatch(batch);
        return;
      }
      const size = 'frames' in batch ? batch.frames.length : batch.end - batch.start;
      if (size < left) {
        left -= size;
        push(batch);
        return;
      }
      isCut = true;
      if (left > 0) push(head(batch, left));
      if (options.silently !== true) throw new MillraceError('MR_ERR_STAGE_CUT', { got: after, unit });
      if (left === 0) releaseBatch(batch);
      stage.push(null);
    },
  });
  return stage;
}

function head(batch: ByteBatch | FrameBatch, length: number): ByteBatch | FrameBatch {
  return 'frames' in batch
    ? { slab: batch.slab, frames: batch.frames.slice(0, length) }
    : { slab: batch.slab, start: batch.start, end: batch.start + length };
}
