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
} from 'node:fs';
import { indexFileHeader, indexFormatOf, lostOffsetBytes } from '../ctf/index-file.ts';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeLocks } from '../os/range-locks.ts';

/** What became of one file that was too long. `left`: why it is as it was. */
export interface Cut {
  path: string;
  fromBytes: number;
  toBytes: number;
  left?: string;
  /** An index file without a record, which is not there any more. */
  removed?: true;
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
 * the last of these packets; without an index file there is none, and an index file without records goes. Errors as `cutFile`, and MR_ERR_DISK_READ.
 */
export function cutIndexed(path: string, indexPath: string, locks: RangeLocks | undefined): Cut[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return [];
  const whole = wholePackets(indexPath, size);
  const isEmpty = whole.indexBytes <= headerBytes;
  const cuts = cutFile(indexPath, isEmpty ? 0 : whole.indexBytes, locks);
  if (isEmpty && cuts[0]?.left === undefined && existsSync(indexPath)) {
    unlinkSync(indexPath);
    cuts[0] = { path: indexPath, fromBytes: cuts[0]?.fromBytes ?? 0, toBytes: 0, removed: true };
  }
  return [...cuts, ...cutFile(path, whole.dataBytes, locks)];
}

/** How far data and index go together, `size` being that of the data file. */
function wholePackets(indexPath: string, size: number): { dataBytes: number; indexBytes: number } {
  const fd = openIfThere(indexPath, constants.O_RDONLY);
  if (fd === undefined) return { dataBytes: 0, indexBytes: 0 };
  try {
    const indexBytes = fstatSync(fd).size;
    if (indexBytes < headerBytes) return { dataBytes: 0, indexBytes: 0 };
    const { record, recordBytes } = layoutOf(indexPath, read(fd, 0, headerBytes));
    let count = Math.floor((indexBytes - headerBytes) / recordBytes);
    let dataBytes = 0;
    // Records of lost packets, however many, say nothing of how far the data goes.
    for (let last = count; last > 0 && dataBytes === 0; ) {
      const first = Math.max(0, last - recordsLookedAt);
      const bytes = read(fd, headerBytes + first * recordBytes, (last - first) * recordBytes);
      last = first;
      for (let at = 0, number = first; at < bytes.length; at += recordBytes, number += 1) {
        const { offsetBytes, packetSizeBits } = record.decode(bytes, at);
        if (offsetBytes === lostOffsetBytes) continue;
        const endBytes = Number(offsetBytes + (packetSizeBits + 7n) / 8n);
        if (endBytes > size) {
          // Once more, from there back.
          count = last = number;
          dataBytes = 0;
          break;
        }
        dataBytes = Math.max(dataBytes, endBytes);
      }
    }
    return { dataBytes, indexBytes: headerBytes + count * recordBytes };
  } finally {
    closeSync(fd);
  }
}

/** Records may be longer than the layout that is known, never shorter. Throws MR_ERR_DISK_READ. */
function layoutOf(path: string, beginning: Buffer) {
  try {
    const header = indexFileHeader.decode(beginning);
    const record = indexFormatOf(header)?.record;
    const recordBytes = header.recordSizeBytes;
    if (record !== undefined && recordBytes >= record.minSizeBytes && recordBytes <= maxRecordBytes)
      return { record, recordBytes };
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
