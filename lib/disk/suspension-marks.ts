/**
 * How a reader in another process knows that a file without a lock is not finished but suspended: the relay has
 * closed it to save a descriptor, and will go on writing. Such a file is marked by a lock on one byte of
 * `OUT/.millrace/suspended`, the byte at the file's inode number; the mark is set before the file is closed for the
 * first time, stays while it is opened and closed again, and goes when it is finished. So a reader that finds
 * first no lock on the file, then no mark of it, knows that it is finished, and whatever was found before is its
 * end. Everything in a suspended file is committed.
 *
 * A relay that dies loses its marks with all its other locks.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { why } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import { tell } from '../telemetry.ts';
import { makeDirectory } from './directories.ts';
import { journalDirectory, marksName } from './journal-lock.ts';

/** Inode numbers have 64 bits, offsets of files fewer; two files on one mark only make a reader wait longer. */
function markOf(ino: bigint): number {
  return Number(ino & 0xf_ffff_ffff_ffffn);
}

/** The relay's side: one descriptor, opened with the first mark. */
export class SuspensionMarks {
  readonly #directory: string;
  readonly #locks: RangeLocks;
  /** How many files stand behind each mark: an inode number is used again when a suspended file is unlinked. */
  readonly #marks = new Map<number, number>();
  #fd: number | undefined;
  #failed = false;

  constructor(outputPath: string, locks: RangeLocks) {
    this.#directory = `${outputPath}/${journalDirectory}`;
    this.#locks = locks;
  }

  /** Called while the file is still open. Where marks cannot be set this is told, once: readers may end early. */
  set(ino: bigint): void {
    const mark = markOf(ino);
    const files = this.#marks.get(mark) ?? 0;
    this.#marks.set(mark, files + 1);
    if (files > 0 || this.#failed) return;
    const path = `${this.#directory}/${marksName}`;
    try {
      makeDirectory(this.#directory);
      this.#fd ??= openSync(path, constants.O_RDWR | constants.O_CREAT, 0o660);
      this.#locks.tryLock(this.#fd, 'exclusive', mark, 1);
    } catch (error) {
      this.#failed = true;
      const text = `suspended files are not marked, their readers end early: ${why(error)}`;
      tell('warn', 'disk:marks', text, { path, why: why(error) });
    }
  }

  /** The file is finished. */
  clear(ino: bigint): void {
    const mark = markOf(ino);
    const files = this.#marks.get(mark) ?? 0;
    if (files > 1) this.#marks.set(mark, files - 1);
    else {
      this.#marks.delete(mark);
      if (this.#fd !== undefined) this.#locks.unlock(this.#fd, mark, 1);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Whether a relay that writes below some directory above `path` has suspended the file `ino`. */
export async function isSuspended(path: string, ino: bigint, locks: RangeLocks): Promise<boolean> {
  for (let at = dirname(path); ; at = dirname(at)) {
    const marks = await open(`${at}/${journalDirectory}/${marksName}`, 'r').catch(() => undefined);
    if (marks !== undefined) {
      try {
        return locks.query(marks.fd, 'shared', markOf(ino), 1) !== undefined;
      } finally {
        await marks.close();
      }
    }
    if (dirname(at) === at) return false;
  }
}
