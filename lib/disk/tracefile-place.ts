/** Where a tracefile goes, and what the journal is told before it is made. */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { StoreContext } from './store-context.ts';
import type { TraceChunk } from './trace-chunk.ts';

/** Where a tracefile goes. */
export interface TracefilePlace {
  chunk: TraceChunk;
  /** The CTF trace's directory in the chunk, checked. */
  components: readonly string[];
  /** Name of the data file; the index file is `index/NAME.idx`. */
  name: string;
}

/** A tracefile of which the journal knows: what has its name may be replaced from now on. */
export interface AnnouncedTracefile {
  readonly place: TracefilePlace;
  /** undefined: packets need no index. */
  readonly format: IndexFormat | undefined;
  /** Its number in the journal; without an index it gets one only when it is there. */
  readonly fileId: number | undefined;
  /** A file of its name is gone on with instead of being replaced. */
  readonly continues: boolean;
}

/**
 * Tells the journal of a tracefile that is to be made, and makes its directory. Several are told of first and made
 * afterwards, so that they share a write. Errors: MR_ERR_DISK_CREATE.
 */
export function announceTracefile(
  place: TracefilePlace,
  format: IndexFormat | undefined,
  { journal }: StoreContext,
  continues = false,
): AnnouncedTracefile {
  const { chunk, components, name } = place;
  chunk.directory(components);
  if (format === undefined) return { place, format, fileId: undefined, continues: false };
  const path = [...components, name].join('/');
  const indexPath = [...components, 'index', `${name}.idx`].join('/');
  return { place, format, fileId: journal.fileNoted('data', chunk.number, path, indexPath), continues };
}
