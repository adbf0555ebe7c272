/**
 * Reads of one file on the event loop, as far as they take no waiting: what is in the page cache, where the system tells
 * that; elsewhere (a file system in memory, a system without koffi) all, as long as the disk is quick. A read that is
 * handed to the thread pool costs as much as the copy of 64 KiB.
 */
import { readSync } from 'node:fs';
import { readCached } from '../os/cached-read.ts';
import type { Pace } from './pace.ts';

/** See the file's head. */
export class QuickReads {
  readonly #pace: Pace;
  /** Whether the system tells what is in the page cache. */
  #tellsCached = true;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /**
   * Reads into `bytes[start, start + length)` from `position` on and returns how many bytes came. Where they are too few
   * a read that may wait tells why: they are not in memory, or behind the end of the file, or cannot be read.
   */
  read(fd: number, bytes: Buffer, start: number, length: number, position: number): number {
    const cached = this.#tellsCached ? readCached(fd, bytes, start, length, position) : undefined;
    this.#tellsCached = cached !== undefined;
    if (cached !== undefined || !this.#pace.quick) return cached ?? 0;
    const startedMs = this.#pace.now();
    try {
      return readSync(fd, bytes, start, length, position);
    } catch {
      return 0;
    } finally {
      this.#pace.took(startedMs);
    }
  }
}
