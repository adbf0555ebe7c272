/** What the writers of one output directory share. */
import type { ChunkDone } from '../stage/frames.ts';
import type { DiskEnvironment } from './append-file.ts';
import { DescriptorPool } from './descriptor-pool.ts';
import type { FileRole } from './journal-facts.ts';
import { Pace } from './pace.ts';
import { Space } from './space.ts';
import type { StoreOptions } from './store-options.ts';
import { SuspensionMarks } from './suspension-marks.ts';
import { Turns } from './turns.ts';

/** When a packet counts as committed; see `RelayOptions.durability`. */
export type Durability = 'none' | 'sync' | 'packet';

/** A writer that has something to put in order when the batch in hand is through. */
export interface Flushable {
  /** Writes gathered index records. */
  flushIndex(): void;
  /** Makes durable what is complete. */
  syncPoint(): void;
}

/** What a trace chunk tells the journal. Places are relative to the session's directory. */
export interface ChunkJournal {
  /** It is about to be made; see `JournalChunk`. Returns its number in the journal. */
  chunkMade(places: { sessionPath: string; path: string; home: string; name: string }): number;
  /** A directory in it is about to be made; relative to the chunk. */
  chunkDirectory(chunk: number, path: string): void;
  /** A file that was there when the chunk began; relative to the chunk. */
  fileFound(chunk: number, path: string): void;
  /** It is about to go to another place: one rename, or several. */
  moveBegun(chunk: number, to: string): void;
  moveDone(chunk: number): void;
  /** What is to become of it when it is complete, once `settle` was called; `archive`: where it would go. */
  chunkClosed(chunk: number, action: ChunkDone['action'], archive: string): void;
  /** Nothing more is to become of it. */
  chunkGone(chunk: number): void;
  /** See `StoreJournal`. */
  settle(): void;
}

/** What a writer tells the journal, so that the next start knows where to look. */
export interface StoreJournal {
  /**
   * A file of a trace chunk was born, or is about to replace one whose packets go; paths are relative to the
   * chunk. Returns its number in the journal.
   */
  fileOpened(role: FileRole, chunk: number, path: string, indexPath?: string): number;
  /** The same, but `settle` must be called before anything is done that relies on it. */
  fileNoted: StoreJournal['fileOpened'];
  /** Metadata, and data without index: what is whole and stored ends here. */
  fileCommitted(id: number, bytes: number): void;
  fileClosed(id: number): void;
  /** What was told so far is in the journal when this returns. */
  settle(): void;
}

/** See the file's head. */
export interface StoreContext {
  env: DiskEnvironment;
  space: Space;
  journal: StoreJournal;
  durability: Durability;
  totals: { packets: number; bytes: number; metadataBytes: number };
  /** Writers with gathered records. */
  dirty: Set<Flushable>;
  /** Writers that wait for the next sync point. */
  unsynced: Set<Flushable>;
  /** Streams that have gone over to a chunk in which their files are still to be made: in turns, or when a packet comes. */
  entering: Turns;
  /** Counts what will never come. */
  lose(cause: string, packets: number, bytes: number): void;
}

/**
 * The context of a new store. `settle`: commits what only waits for the end of a batch; `lose`: see `StoreContext`.
 */
export function newStoreContext(
  { outputPath, locks, journal, durability, reserveBytes, fdPoolSize }: StoreOptions,
  settle: () => void,
  lose: StoreContext['lose'],
): StoreContext {
  const pool = new DescriptorPool({
    ...(fdPoolSize === undefined ? {} : { size: fdPoolSize }),
    marks: locks && new SuspensionMarks(outputPath, locks),
    settle,
  });
  const env: DiskEnvironment = {
    locks,
    pace: new Pace(),
    pool,
    lockConflicts: 0,
    bytesInFlight: 0,
    open: new Set(),
    onAllClosed: () => {},
  };
  return {
    env,
    space: new Space({ path: outputPath, reserveBytes, inFlight: () => env.bytesInFlight }),
    journal,
    durability,
    totals: { packets: 0, bytes: 0, metadataBytes: 0 },
    dirty: new Set(),
    unsynced: new Set(),
    entering: new Turns(),
    lose,
  };
}
