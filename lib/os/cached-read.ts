/**
 * Reads that never wait for a disk: they give what is in the page cache (RWF_NOWAIT) and refuse the rest, so that a
 * small read may be made on the event loop (3 us) in place of the thread pool (30 us) whatever the disk is like.
 */
import { loadLibc } from './libc.ts';

const EOPNOTSUPP = 95;

/**
 * Reads what is in memory of the `length` bytes of the file at `position` into `bytes` at `start`. Returns how many
 * came: where they are too few, the others need a read that may wait, or are behind the end of the file, or cannot be
 * had: that read tells. Undefined: it cannot be known (there is no koffi, this file system does not tell).
 */
export function readCached(
  fd: number,
  bytes: Buffer,
  start: number,
  length: number,
  position: number,
): number | undefined {
  const got = loadLibc().libc?.readCached(fd, bytes, start, length, position);
  return got === undefined || got === -EOPNOTSUPP ? undefined : Math.max(got, 0);
}
