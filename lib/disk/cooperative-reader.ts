/**
 * Reads a CTF stream or metadata that another process is writing, as far as it has committed it and not a byte
 * further: the other side of the rule that the chunk writer keeps (see `committed-file.ts`). What a finished
 * stream holds is read the same way.
 *
 * A reader keeps the files that it opened: in a ring of tracefiles it goes on with the old file while a new one has
 * its name. That a data file and an index file belong together rests on the writer: the index gets its name after
 * its data file, and loses it before another data file takes that name.
 */
import { type IndexRecord, indexFileHeader, indexFormatOf, lostOffsetBytes } from '../ctf/index-file.ts';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Value } from '../schema/index.ts';
import { CommittedFile, type CooperativeOptions, poll } from './committed-file.ts';

/** A packet and the record that publishes it. */
export interface CommittedPacket {
  /** Number of the record in its index file, from 0. */
  recordIndex: number;
  record: IndexRecord;
  /** The whole packet, in memory of its own; undefined: it was lost (its record has no offset). */
  bytes: Buffer | undefined;
}

/** Where to find a stream, and where to go on. */
export interface StreamFiles extends CooperativeOptions {
  dataPath: string;
  indexPath: string;
  /** Records before this one are passed over. */
  firstRecord?: number;
}

type Decode = (records: Buffer, start: number) => IndexRecord;

const headerBytes = indexFileHeader.minSizeBytes;
/** Records are read together, as many as are committed, up to this many. */
const gatherRecords = 256;

/**
 * The packets of one stream's data file in the order of its index, waiting for more for as long as somebody writes.
 * Ends when nobody does and everything whole was given out; a file that is opened again later is read on with
 * `firstRecord`. Waits for files that do not exist yet.
 *
 * Errors: MR_ERR_DISK_READ (no index file, a record that points behind the data or at more than
 * `limits.packetBytes`), MR_ERR_DISK_CHANGED (somebody cut the file), the signal's reason.
 */
export async function* readStream(files: StreamFiles): AsyncGenerator<CommittedPacket, undefined> {
  const opened = await openPair(files);
  const { data, index } = opened;
  try {
    if (index !== undefined) yield* packetsOf(data, index, files.firstRecord ?? 0);
  } finally {
    await Promise.all([data.close(), index?.close()]);
  }
}

/**
 * The metadata of one trace as it is committed, in pieces of at most `limits.slabBytes`, until nobody writes it.
 * Regenerated metadata is another file of the same name: this one ends then. Waits for a file that does not exist
 * yet. Errors: as `readStream`.
 */
export async function* readMetadata(
  path: string,
  options: CooperativeOptions,
): AsyncGenerator<Buffer, undefined> {
  const file = await CommittedFile.openWhenBorn(path, options);
  try {
    for (let at = 0; ; ) {
      const { endBytes, writing } = await file.waitFor(at, 1);
      while (at < endBytes) {
        const piece = await file.read(at, Math.min(endBytes - at, limits.slabBytes));
        at += piece.length;
        yield piece;
      }
      if (!writing) return;
    }
  } finally {
    await file.close();
  }
}

/** A data file and its own index; no index when the data file is finished and has none. */
async function openPair(
  files: StreamFiles,
): Promise<{ data: CommittedFile; index: CommittedFile | undefined }> {
  for (;;) {
    const data = await CommittedFile.openWhenBorn(files.dataPath, files);
    let index: CommittedFile | undefined;
    try {
      // the index appears with the first packet, or never
      await poll(files.signal, async () => {
        const { writing } = await data.extent(0);
        index = await CommittedFile.open(files.indexPath, files);
        return index !== undefined || !writing || !(await data.isCurrent());
      });
      // opened while the data file had its name all along: so this index is its own
      if (await data.isCurrent()) return { data, index };
    } catch (error) {
      await Promise.all([data.close(), index?.close()]);
      throw error;
    }
    await Promise.all([data.close(), index?.close()]);
  }
}

async function* packetsOf(
  data: CommittedFile,
  index: CommittedFile,
  firstRecord: number,
): AsyncGenerator<CommittedPacket, undefined> {
  const { endBytes } = await index.waitFor(0, headerBytes);
  if (endBytes < headerBytes) return;
  const { recordBytes, decode } = recordsOf(index.path, await index.read(0, headerBytes));
  for (let recordIndex = firstRecord; ; ) {
    const at = headerBytes + recordIndex * recordBytes;
    const extent = await index.waitFor(at, recordBytes);
    const whole = Math.floor((extent.endBytes - at) / recordBytes);
    // nobody writes any more; half a record is what a killed writer left
    if (whole <= 0) return;
    const records = await index.read(at, Math.min(whole, gatherRecords) * recordBytes);
    for (let start = 0; start < records.length; start += recordBytes, recordIndex += 1) {
      const record = decode(records, start);
      yield { recordIndex, record, bytes: await packetOf(data, record, recordIndex) };
    }
  }
}

/** How to read records, by the file's own header: a later minor may append fields to them. */
function recordsOf(path: string, bytes: Buffer): { recordBytes: number; decode: Decode } {
  const refused = (reason: string, cause?: unknown): MillraceError =>
    new MillraceError('MR_ERR_DISK_READ', { path, why: `it is no CTF index file: ${reason}` }, { cause });
  let header: Value<typeof indexFileHeader>;
  try {
    header = indexFileHeader.decode(bytes);
  } catch (error) {
    throw refused(why(error), error);
  }
  const format = indexFormatOf(header);
  if (format === undefined) throw refused(`major version ${header.major}`);
  const { recordSizeBytes } = header;
  if (recordSizeBytes < format.recordSizeBytes || recordSizeBytes > limits.indexRecordBytes)
    throw refused(`records of ${recordSizeBytes} bytes`);
  return {
    recordBytes: recordSizeBytes,
    decode: (records, start) => format.record.decode(records, start, start + recordSizeBytes),
  };
}

async function packetOf(
  data: CommittedFile,
  record: IndexRecord,
  recordIndex: number,
): Promise<Buffer | undefined> {
  if (record.offsetBytes === lostOffsetBytes) return undefined;
  const bytes = record.packetSizeBits / 8n;
  const refused = (reason: string): MillraceError =>
    new MillraceError('MR_ERR_DISK_READ', { path: data.path, why: `packet ${recordIndex} ${reason}` });
  if (bytes > BigInt(limits.packetBytes))
    throw refused(`has ${bytes} bytes, at most ${limits.packetBytes} are read`);
  if (record.offsetBytes > BigInt(Number.MAX_SAFE_INTEGER)) throw refused('begins behind all files');
  const start = Number(record.offsetBytes);
  // released before the record that points at it; waiting here is for writers that keep the locks but not the order
  const { endBytes } = await data.waitFor(start, Number(bytes));
  if (endBytes < start + Number(bytes)) throw refused(`ends behind the file, which has ${endBytes} bytes`);
  return data.read(start, Number(bytes));
}
