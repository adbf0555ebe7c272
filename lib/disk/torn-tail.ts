/**
 * Cuts files back to what is whole. A file in which somebody holds a lock on the part that would go is left
 * alone: the lock says that a program still works there.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { type IndexFormat, indexFileHeader, indexFormatOf, lostOffsetBytes } from '../ctf/index-file.ts';
import type { PacketReader } from '../ctf/packet-header.ts';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import { tailRecords } from './tail-records.ts';

/** What became of one file that was too long. `left`: why it is as it was. */
export interface Cut {
  path: string;
  fromBytes: number;
  toBytes: number;
  left?: string;
  /** An index file without a record, which is not there any more. */
  removed?: true;
  /** Records that were made anew and added to an index file. */
  added?: number;
}

const headerBytes = indexFileHeader.minSizeBytes;
const maxRecordBytes = 4096;

/**
 * How many of the last records can hold the one whose packet lies last. Records are written in the order in which
 * packets became complete, so behind that record come at most those of packets that were half complete then.
 */
const recordsLookedAt = limits.halfPacketsPerStream + 1;

/**
 * Cuts the file at `path`, if there is one and it is longer, to `toBytes`. Returns what was done, if anything.
 * Throws MR_ERR_DISK_WRITE.
 */
export function cutFile(path: string, toBytes: number, locks: RangeLocks | undefined): Cut[] {
  const fd = openIfThere(path, constants.O_RDWR);
  if (fd === undefined) return [];
  try {
    const fromBytes = fstatSync(fd).size;
    if (fromBytes <= toBytes) return [];
    if (locks?.tryLock(fd, 'exclusive', toBytes, 0) === false)
      return [{ path, fromBytes, toBytes, left: 'another program holds a lock on it' }];
    ftruncateSync(fd, toBytes);
    return [{ path, fromBytes, toBytes }];
  } catch (error) {
    throw new MillraceError('MR_ERR_DISK_WRITE', { path, why: why(error) }, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/**
 * Cuts an index file behind its last whole record of a packet that its data file has, and the data file behind
 * the last of these packets; without an index file there is none, and an index file without records goes. Whole packets
 * behind the last get the records that they lack, if `reader` (asked for then) can read them.
 * Errors as `cutFile`, and MR_ERR_DISK_READ.
 */
export function cutIndexed(
  path: string,
  indexPath: string,
  locks: RangeLocks | undefined,
  reader: () => PacketReader | undefined = () => undefined,
): Cut[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return [];
  const whole = wholePackets(indexPath, size);
  const added = whole.dataBytes < size ? addRecords(path, indexPath, whole, { size, locks, reader }) : [];
  if (added.length > 0) return [...added, ...cutFile(path, wholePackets(indexPath, size).dataBytes, locks)];
  const isEmpty = whole.indexBytes <= headerBytes;
  const cuts = cutFile(indexPath, isEmpty ? 0 : whole.indexBytes, locks);
  if (isEmpty && cuts[0]?.left === undefined && existsSync(indexPath)) {
    unlinkSync(indexPath);
    cuts[0] = { path: indexPath, fromBytes: cuts[0]?.fromBytes ?? 0, toBytes: 0, removed: true };
  }
  return [...cuts, ...cutFile(path, whole.dataBytes, locks)];
}

/** Data and index as far as they go together. */
interface Whole {
  dataBytes: number;
  indexBytes: number;
  /** undefined: the index file is not there, or lacks its header. */
  format: IndexFormat | undefined;
  /** End of the packet that lies last, by the stream's clock. */
  clockCycles: bigint;
}

/** Adds the records of whole packets that lie behind those in the index. In a file that somebody has locked: none. */
function addRecords(
  path: string,
  indexPath: string,
  { dataBytes, indexBytes, format, clockCycles }: Whole,
  {
    size,
    locks,
    reader,
  }: { size: number; locks: RangeLocks | undefined; reader: () => PacketReader | undefined },
): Cut[] {
  const packets = format && reader();
  if (format === undefined || packets === undefined) return [];
  const [data, index] = [path, indexPath].map((each) =>
    openSync(each, constants.O_RDWR | constants.O_NOFOLLOW),
  ) as [number, number];
  try {
    if (locks?.tryLock(data, 'exclusive', dataBytes, 0) === false) return [];
    if (locks?.tryLock(index, 'exclusive', indexBytes, 0) === false) return [];
    const records = tailRecords(data, { fromBytes: dataBytes, sizeBytes: size, clockCycles }, packets);
    if (records.length === 0) return [];
    const fromBytes = fstatSync(index).size;
    const bytes = Buffer.concat(records.map((record) => format.record.encode(record)));
    ftruncateSync(index, indexBytes);
    for (let at = 0; at < bytes.length; )
      at += writeSync(index, bytes, at, bytes.length - at, indexBytes + at);
    return [{ path: indexPath, fromBytes, toBytes: indexBytes + bytes.length, added: records.length }];
  } catch (error) {
    throw new MillraceError('MR_ERR_DISK_WRITE', { path: indexPath, why: why(error) }, { cause: error });
  } finally {
    closeSync(data);
    closeSync(index);
  }
}

/** How far data and index go together, `size` being that of the data file. */
function wholePackets(indexPath: string, size: number): Whole {
  const nothing = { dataBytes: 0, indexBytes: 0, format: undefined, clockCycles: 0n };
  const fd = openIfThere(indexPath, constants.O_RDONLY);
  if (fd === undefined) return nothing;
  try {
    const indexBytes = fstatSync(fd).size;
    if (indexBytes < headerBytes) return nothing;
    const { format, recordBytes } = layoutOf(indexPath, read(fd, 0, headerBytes));
    const { record } = format;
    let clockCycles = 0n;
    let count = Math.floor((indexBytes - headerBytes) / recordBytes);
    let dataBytes = 0;
    // Records of lost packets, however many, say nothing of how far the data goes.
    for (let last = count; last > 0 && dataBytes === 0; ) {
      const first = Math.max(0, last - recordsLookedAt);
      const bytes = read(fd, headerBytes + first * recordBytes, (last - first) * recordBytes);
      last = first;
      for (let at = 0, number = first; at < bytes.length; at += recordBytes, number += 1) {
        const { offsetBytes, packetSizeBits, timestampEndCycles } = record.decode(bytes, at);
        if (offsetBytes === lostOffsetBytes) continue;
        const endBytes = Number(offsetBytes + (packetSizeBits + 7n) / 8n);
        if (endBytes > size) {
          // Once more, from there back.
          count = last = number;
          dataBytes = 0;
          break;
        }
        if (endBytes <= dataBytes) continue;
        dataBytes = endBytes;
        clockCycles = timestampEndCycles;
      }
    }
    const isKnown = recordBytes === format.recordSizeBytes;
    const whole = { dataBytes, indexBytes: headerBytes + count * recordBytes, clockCycles };
    return { ...whole, format: isKnown ? format : undefined };
  } finally {
    closeSync(fd);
  }
}

/** Records may be longer than the layout that is known, never shorter. Throws MR_ERR_DISK_READ. */
function layoutOf(path: string, beginning: Buffer) {
  try {
    const header = indexFileHeader.decode(beginning);
    const format = indexFormatOf(header);
    const recordBytes = header.recordSizeBytes;
    if (format !== undefined && recordBytes >= format.recordSizeBytes && recordBytes <= maxRecordBytes)
      return { format, recordBytes };
  } catch (error) {
    throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
  }
  throw new MillraceError('MR_ERR_DISK_READ', { path, why: 'its records are of no known size' });
}

function read(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
}

/** A descriptor, or undefined when there is no such file. Symbolic links are not followed. */
function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
  }
}
