/** Whoever gets what producers send, beside the store: the forwarder, or a source of frames. */
import type { FrameBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';

/** See the file's head. */
export interface FrameTap {
  /** A fact that the store has accepted; `slab` is borrowed. */
  frame(frame: Frame, slab: Slab | undefined): void;
  /** Packets on their way to the store; the batch stays the caller's. Resolves when there is room for more. */
  data(batch: FrameBatch): Promise<void>;
  /** Nothing more comes of a stream. */
  streamClosed(stream: number): void;
  /** Whether what came of a stream so far is safe with it. */
  isWritten(stream: number): boolean;
}
