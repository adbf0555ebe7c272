/**
 * A file that another process is writing, read no further than that process has committed it. The rule between
 * them (design, "the chunk writer and advisory byte-range locks"): the writer locks `[safe, infinity)` from before
 * the file has its name until it closes it, so what nobody locks is committed, and where nobody locks anything the
 * file is finished, or suspended to save a descriptor: then it has a mark (`suspension-marks.ts`).
 *
 * Locks are only asked about (`F_OFD_GETLK`), never taken: a reader that took one, even for a moment and behind the
 * end of the file, could refuse it to a writer that opens the file again. Asking is enough, because a committed
 * byte is never written again.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import { Pace } from './pace.ts';
import { QuickReads } from './quick-reads.ts';
import { isSuspended } from './suspension-marks.ts';

/** `locks` undefined (no koffi): everything that is in the file counts as committed. */
export interface CooperativeOptions {
  locks: RangeLocks | undefined;
  /** Ends every wait with its reason. */
  signal?: AbortSignal;
}

/** How far a file may be read: committed up to `endBytes`; `writing`: somebody is going to commit more. */
export interface Extent {
  endBytes: number;
  writing: boolean;
}

/** See the file's head. One descriptor until `close`. */
export class CommittedFile {
  /** Where it is; a reader that follows renames says so here: by its place it is known whether it is suspended. */
  path: string;
  readonly #handle: FileHandle;
  readonly #options: CooperativeOptions;
  readonly #quick = new QuickReads(new Pace());

  private constructor(path: string, handle: FileHandle, options: CooperativeOptions) {
    this.path = path;
    this.#handle = handle;
    this.#options = options;
  }

  /** Opens the file, or resolves with undefined where there is none. Errors: MR_ERR_DISK_READ. */
  static async open(path: string, options: CooperativeOptions): Promise<CommittedFile | undefined> {
    try {
      return new CommittedFile(path, await open(path, 'r'), options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
    }
  }

  /** Opens the file as soon as it has its name. Errors: MR_ERR_DISK_READ, the signal's reason. */
  static async openWhenBorn(path: string, options: CooperativeOptions): Promise<CommittedFile> {
    let file: CommittedFile | undefined;
    await poll(options.signal, async () => {
      file = await CommittedFile.open(path, options);
      return file !== undefined;
    });
    return file as CommittedFile;
  }

  /** How far the file may be read now, seen from `fromBytes`, up to which it is known to be committed. */
  async extent(fromBytes: number): Promise<Extent> {
    const { locks } = this.#options;
    for (;;) {
      // the size before the lock: what is found free then was in the file before it was found free
      const { size, ino } = await this.#fileNow();
      let holder = locks?.query(this.#handle.fd, 'shared', fromBytes, 0);
      if (holder === undefined) {
        // asked in this order: a mark outlives all locks on the file
        if (locks !== undefined && (await isSuspended(this.path, ino, locks)))
          return { endBytes: size, writing: true };
        // a writer that committed more and closed in between is finished now: the next round has all of it
        if ((await this.#fileNow()).size === size) return { endBytes: size, writing: false };
        continue;
      }
      let endBytes = Math.max(holder.startBytes, fromBytes);
      // the kernel names one lock that is in the way, not the first
      while (endBytes > fromBytes) {
        holder = locks?.query(this.#handle.fd, 'shared', fromBytes, endBytes - fromBytes);
        if (holder === undefined) break;
        endBytes = Math.max(holder.startBytes, fromBytes);
      }
      return { endBytes, writing: true };
    }
  }

  async #fileNow(): Promise<{ size: number; ino: bigint }> {
    const { size, ino } = await this.#handle.stat({ bigint: true });
    return { size: Number(size), ino };
  }

  /**
   * Waits until `bytes` behind `fromBytes` are committed, or can no longer be: what comes back reaches that far, or
   * is not `writing`. Errors: the signal's reason.
   */
  async waitFor(fromBytes: number, bytes: number): Promise<Extent> {
    let extent: Extent = { endBytes: fromBytes, writing: true };
    await poll(this.#options.signal, async () => {
      extent = await this.extent(fromBytes);
      return extent.endBytes - fromBytes >= bytes || !extent.writing;
    });
    return extent;
  }

  /**
   * Reads exactly `[startBytes, startBytes + bytes)` into memory of its own. Errors: MR_ERR_DISK_CHANGED when the
   * file has become shorter, MR_ERR_DISK_READ.
   */
  async read(startBytes: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(bytes);
    await this.readInto(buffer, startBytes);
    return buffer;
  }

  /** The same into memory of the caller's, which is filled whole. */
  async readInto(buffer: Buffer, startBytes: number): Promise<void> {
    for (
      let at = this.#quick.read(this.#handle.fd, buffer, 0, buffer.length, startBytes);
      at < buffer.length;
    ) {
      const { bytesRead } = await this.#handle
        .read(buffer, at, buffer.length - at, startBytes + at)
        .catch((cause: unknown) => {
          throw new MillraceError('MR_ERR_DISK_READ', { path: this.path, why: why(cause) }, { cause });
        });
      if (bytesRead === 0) throw new MillraceError('MR_ERR_DISK_CHANGED', { path: this.path });
      at += bytesRead;
    }
  }

  /** Its inode number. */
  async inode(): Promise<bigint> {
    return (await this.#handle.stat({ bigint: true })).ino;
  }

  /** Whether the name still leads to this file: not to one that replaced it, and not to nothing. */
  async isCurrent(): Promise<boolean> {
    const [own, named] = await Promise.all([
      this.#handle.stat({ bigint: true }),
      stat(this.path, { bigint: true }).catch(() => undefined),
    ]);
    return named !== undefined && named.ino === own.ino && named.dev === own.dev;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Asks `done` at growing intervals, at most `limits.lockPollMs`, until it is so. Rejects with the signal's reason. */
export async function poll(signal: AbortSignal | undefined, done: () => Promise<boolean>): Promise<void> {
  signal?.throwIfAborted();
  for (let waitMs = 1; !(await done()); waitMs = Math.min(waitMs * 2, limits.lockPollMs)) {
    await delay(waitMs);
    signal?.throwIfAborted();
  }
}
