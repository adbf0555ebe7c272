/**
 * What travels in a pipe: the bytes or the frames of one socket (or file) read, with the slab they lie in.
 * A batch has one owner at a time: the stage that holds it. Passing it on passes ownership; the last stage
 * (or the one that fails) releases it.
 */
import type { Frame } from './frames.ts';
import type { Slab } from './slab.ts';

/** Bytes as they were read: `slab.bytes[start, end)`. */
export interface ByteBatch {
  slab: Slab;
  start: number;
  end: number;
}

/** Frames whose ranges point into `slab`; frames without bytes need none. */
export interface FrameBatch {
  slab: Slab | undefined;
  frames: Frame[];
}

/** Gives the batch's memory back. Called exactly once by its last owner. */
export function releaseBatch(batch: { slab: Slab | undefined }): void {
  batch.slab?.release();
}
