/** Which packet of a stream was stored last, by the index files of its session. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type IndexRecord, indexFileHeader, indexFormatOf, indexRecord1_1 } from '../ctf/index-file.ts';
import { filesBelow, namesIn } from './chunk-places.ts';

/**
 * The record of the latest packet of stream `channelName` below a session's directory, whichever trace chunk, archive or
 * tracefile it lies in; undefined: none is stored. `streamPath`: components of its directory in a chunk. Losses count:
 * they will not come again.
 */
export function lastRecordOf(
  directory: string,
  streamPath: readonly string[],
  channelName: string,
): IndexRecord | undefined {
  const within = ['', ...streamPath, 'index'].join('/');
  const names = filesBelow(directory, '').filter((name) => {
    const at = name.lastIndexOf('/');
    return `/${name.slice(0, at)}`.endsWith(within) && isOf(name.slice(at + 1), channelName);
  });
  return latestOf(directory, names)?.record;
}

/** Number of the file of a ring below `directory` that holds the latest packet; 0: none does. */
export function lastTracefile(directory: string, channelName: string): bigint {
  const indexes = join(directory, 'index');
  const numbered = namesIn(indexes).filter((name) => isOf(name, channelName) && numberPattern.test(name));
  return BigInt(numberPattern.exec(latestOf(indexes, numbered)?.name ?? '')?.[1] ?? 0);
}

const numberPattern = /_(\d+)\.idx$/;

/** Of these index files the one with the latest packet, and its record; undefined: none has any. */
function latestOf(
  directory: string,
  names: readonly string[],
): { name: string; record: IndexRecord } | undefined {
  let latest: { name: string; record: IndexRecord } | undefined;
  for (const name of names) {
    const record = lastIn(join(directory, name));
    if (record !== undefined && (latest === undefined || isLater(record, latest.record)))
      latest = { name, record };
  }
  return latest;
}

/** `CHANNEL.idx`, or `CHANNEL_N.idx` of a ring. */
function isOf(file: string, channelName: string): boolean {
  if (!file.startsWith(channelName)) return false;
  return /^(_\d+)?\.idx$/.test(file.slice(channelName.length));
}

function isLater(a: IndexRecord, b: IndexRecord): boolean {
  if (a.timestampEndCycles !== b.timestampEndCycles) return a.timestampEndCycles > b.timestampEndCycles;
  return (a.packetSeqNum ?? 0n) > (b.packetSeqNum ?? 0n);
}

function lastIn(path: string): IndexRecord | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const head = Buffer.alloc(indexFileHeader.minSizeBytes);
    readSync(fd, head, 0, head.length, 0);
    const header = indexFileHeader.decode(head);
    const format = indexFormatOf(header);
    const { recordSizeBytes } = header;
    const count = Math.floor((fstatSync(fd).size - head.length) / recordSizeBytes);
    if (format === undefined || recordSizeBytes < format.recordSizeBytes || count < 1) return undefined;
    if (recordSizeBytes > 16 * indexRecord1_1.minSizeBytes) return undefined;
    const bytes = Buffer.alloc(recordSizeBytes);
    readSync(fd, bytes, 0, recordSizeBytes, head.length + (count - 1) * recordSizeBytes);
    return format.record.decode(bytes);
  } catch {
    // no index file: nothing of it can be relied on
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * The record of a stream's latest packet in the session whose directory is `path` below `output`; `components`: of the
 * stream's directory in a chunk.
 */
export function lastStoredBelow(
  output: string,
  path: readonly string[],
  components: readonly string[],
  channelName: string,
): IndexRecord | undefined {
  // Producers before 2.11 name the whole directory, and their sessions have none.
  if (path.length === 0) return lastRecordOf([output, ...components].join('/'), [], channelName);
  return lastRecordOf([output, ...path].join('/'), components, channelName);
}
