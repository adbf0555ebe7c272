/** A lossy link: some frames never arrive. */
import type { Duplex } from 'node:stream';
import { type FrameBatch, releaseBatch } from '../batch.ts';
import type { Frame } from '../frames.ts';
import { objectStage } from '../stage.ts';

/**
 * Drops those frames for which `which` is true, or each `data` frame with a `probability` (0 to 1); the same `seed`
 * drops the same ones. Batches that nothing is left of are released.
 */
export function drop(
  options: { which: (frame: Frame) => boolean } | { probability: number; seed: number },
): Duplex {
  const isDropped = 'which' in options ? options.which : byChance(options.probability, options.seed);
  return objectStage<FrameBatch, FrameBatch>('drop', {
    transform(batch, push) {
      const frames = batch.frames.filter((frame) => !isDropped(frame));
      if (frames.length === batch.frames.length) push(batch);
      else if (frames.length > 0) push({ slab: batch.slab, frames });
      else releaseBatch(batch);
    },
  });
}

function byChance(probability: number, seed: number): (frame: Frame) => boolean {
  // xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003): small, and the same on every machine; 0 would stay 0
  let state = seed >>> 0 || 1;
  return ({ kind }) => {
    if (kind !== 'data') return false;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32 < probability;
  };
}
