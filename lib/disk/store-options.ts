/** What a store is told when it is made. */
import type { RangeLocks } from '../os/range-locks.ts';
import type { Frame, SessionOpen } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import type { CompleteChunk } from './chunk-registry.ts';
import type { Grouping } from './session-path.ts';
import type { ChunkJournal, Durability, StoreJournal } from './store-context.ts';

export interface StoreOptions {
  /** Absolute; exists. */
  outputPath: string;
  grouping: Grouping;
  locks: RangeLocks | undefined;
  journal: StoreJournal & ChunkJournal & { frame(frame: Frame): void };
  durability: Durability;
  /** Bytes of free space kept for metadata and indexes; 0: none. */
  reserveBytes: number;
  /** Descriptors of the whole process; absent: no bound. */
  fdPoolSize?: number;
  /** Another directory for a session than `path`, components below the output directory; absent: that one. */
  placeOf?(open: SessionOpen, path: readonly string[]): string[];
  /** Whether a stream of a producer before 2.11, which names its own directory, may replace files that are there. */
  replaces?: boolean;
  /** A stream's files are closed, its handle is free. */
  onStreamClosed(handle: number): void;
  /** Whether a session only passes: what is kept of it is short, out of the way, and goes with it. */
  isPassing?(session: number): boolean;
  /** Told of each frame that was accepted, with its bytes; data frames come another way. */
  onFrame?(frame: Frame, slab: Slab | undefined): void;
  /** Called in the tick in which the chunk's last user leaves it; chunks of producers before 2.11 are not told of. */
  onChunkComplete(chunk: CompleteChunk): void;
}
