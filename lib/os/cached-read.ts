/**
 * Reads that never wait for a disk: they give what is in the page cache (RWF_NOWAIT) and refuse the rest, so that a
 * small read may be made on the event loop (3 us) in place of the thread pool (30 us) whatever the disk is like.
 */
import { loadLibc } from './libc.ts';

/**
 * Reads up to `length` bytes of the file at `position` into `bytes` at `start`. Returns how many came, 0 at the end
 * of the file; undefined: that needs a read that may wait (there is no koffi, the file system does not know such
 * reads, it is not in memory). What else may be wrong is left for that one to tell.
 */
export function readCached(
  fd: number,
  bytes: Buffer,
  start: number,
  length: number,
  position: number,
): number | undefined {
  const got = loadLibc().libc?.readCached(fd, bytes, start, length, position);
  return got === undefined || got < 0 ? undefined : got;
}
