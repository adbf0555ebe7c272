/** A stage that cuts batches of frames into smaller ones, for who acts on each: a narrow link, a change of targets. */
import type { Duplex } from 'node:stream';
import { type FrameBatch, releaseBatch } from './batch.ts';
import { objectStage } from './stage.ts';

/** Hands on batches of at most `mostBytes` bytes of data and metadata, or of one frame. Frames are not cut. */
export function pieces(mostBytes: number): Duplex {
  return objectStage<FrameBatch, FrameBatch>('pieces', {
    transform(batch, push) {
      const { frames, slab } = batch;
      let from = 0;
      let bytes = 0;
      for (const [at, frame] of frames.entries()) {
        const size = frame.kind === 'data' || frame.kind === 'metadata' ? frame.end - frame.start : 0;
        if (size > 0 && at > from && bytes + size > mostBytes) {
          push({ slab: slab?.retain(), frames: frames.slice(from, at) });
          from = at;
          bytes = 0;
        }
        bytes += size;
      }
      if (from === 0) push(batch);
      else if (from < frames.length) push({ slab, frames: frames.slice(from) });
      else releaseBatch(batch);
    },
  });
}
