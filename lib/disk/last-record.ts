/** Which packet of a stream was stored last, by the index files of its session. */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type IndexRecord, indexFileHeader, indexFormatOf, indexRecord1_1 } from '../ctf/index-file.ts';

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
  let last: IndexRecord | undefined;
  for (const name of filesBelow(directory)) {
    const at = name.lastIndexOf('/');
    if (!`/${name.slice(0, at)}`.endsWith(within) || !isOf(name.slice(at + 1), channelName)) continue;
    const record = lastIn(join(directory, name));
    if (record !== undefined && (last === undefined || isLater(record, last))) last = record;
  }
  return last;
}

/** Number of the file of a ring below `directory` that holds the latest packet; 0: none does. */
export function lastTracefile(directory: string, channelName: string): bigint {
  let last: IndexRecord | undefined;
  let number = 0n;
  for (const name of filesBelow(join(directory, 'index'))) {
    const digits = isOf(name, channelName) ? /_(\d+)\.idx$/.exec(name)?.[1] : undefined;
    const record = digits === undefined ? undefined : lastIn(join(directory, 'index', name));
    if (digits === undefined || record === undefined || (last !== undefined && !isLater(record, last)))
      continue;
    last = record;
    number = BigInt(digits);
  }
  return number;
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

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch {
    // no such session was ever here
    return [];
  }
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
