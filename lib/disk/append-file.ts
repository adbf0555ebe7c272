/**
 * One growing file of a relay: data, index or metadata. It owns the order of writes. Ranges given to `append` belong
 * to the file until `done` is called; a write that must wait goes through the thread pool, so a stalled disk holds up
 * nobody else.
 *
 * Lock rule (design, "the chunk writer and advisory byte-range locks"): an exclusive lock covers
 * `[safe, infinity)`; committing unlocks `[oldSafe, newSafe)` in one call (`locked-file.ts`).
 *
 * A file in which everything is committed may lose its descriptor to another until its next write
 * (`descriptor-pool.ts`).
 */
import { fdatasync, ftruncate, ftruncateSync, writev, writevSync } from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Pooled } from './descriptor-pool.ts';
import { type LockEnvironment, LockedFile } from './locked-file.ts';
import type { Pace } from './pace.ts';

/** What all files of one output directory share. */
export interface DiskEnvironment extends LockEnvironment {
  pace: Pace;
  /** Bytes handed to files and not yet written. */
  bytesInFlight: number;
  /** Files that are not finished. */
  readonly open: Set<AppendFile>;
  /** Called when the last open file was closed. */
  onAllClosed: () => void;
}

const zeros = Buffer.alloc(65_536);

/**
 * Padding that a producer counted but did not send: so many zero bytes as a range, or, if they are many, as a hole to
 * be left in the file (`append`), which takes no time and no room however long a producer says that it is.
 */
export function padding(bytes: number): { range: Buffer | undefined; holeBytes: number } {
  if (bytes > zeros.length) return { range: undefined, holeBytes: bytes };
  return { range: bytes === 0 ? undefined : zeros.subarray(0, bytes), holeBytes: 0 };
}

type Done = (error?: MillraceError) => void;

interface Write {
  ranges: Buffer[];
  bytes: number;
  holeBytes: number;
  done: Done;
}

/** Longer writes go through the thread pool however quick the disk is. */
const quickBytes = 4 * 1024 * 1024;

export interface AppendFileOptions {
  /** Where the file's directory is now, after renames above it; absent: where it was. */
  directoryNow?: () => string;
  /** See `Pooled`: index and metadata files. */
  urgent?: boolean;
  /** Goes on with a file that is there, behind what it holds. */
  continues?: boolean;
}

/** See the file's head. Every method is synchronous but `append` and `sync`, which may be. */
export class AppendFile implements Pooled {
  /** Where the file was created; a rename of a directory above does not matter to an open file. */
  readonly path: string;
  readonly urgent: boolean;
  readonly #env: DiskEnvironment;
  readonly #file: LockedFile;
  #kept = false;
  #queue: Write[] = [];
  #writing = false;
  #syncing = 0;
  #closed = false;
  #closeWhenIdle = false;
  #wholeBytes: (() => number) | undefined;
  #whenClosed: (() => void) | undefined;
  #failed: MillraceError | undefined;
  /** End of the file as far as it is written. */
  writtenBytes = 0;
  /** End of the file once everything accepted is written. */
  acceptedBytes = 0;
  /** End of what readers may read. */
  safeBytes = 0;

  /**
   * Creates the file, or replaces the one of that name by a new one: readers keep the old. Its directory must
   * exist. Errors: MR_ERR_DISK_CREATE.
   */
  constructor(directory: string, name: string, env: DiskEnvironment, options: AppendFileOptions = {}) {
    const { directoryNow = () => directory, urgent = false, continues = false } = options;
    this.path = `${directory}/${name}`;
    this.urgent = urgent;
    this.#env = env;
    this.#file = new LockedFile(this, directory, () => `${directoryNow()}/${name}`, env, continues);
    this.writtenBytes = this.acceptedBytes = this.safeBytes = this.#file.foundBytes;
    env.open.add(this);
  }

  /** For reading back what was written. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /** True when nothing accepted is waiting to be written. */
  get idle(): boolean {
    return !this.#writing && this.#queue.length === 0;
  }

  /** Whether the next `append`, if it is not long, will be done when it returns. */
  get immediate(): boolean {
    return this.#file.isOpen && this.idle && this.#env.pace.quick;
  }

  /** It is closed as soon as its writes are through. */
  get closing(): boolean {
    return this.#closeWhenIdle;
  }

  get suspendable(): boolean {
    return (
      this.idle &&
      this.writtenBytes === this.safeBytes &&
      this.#syncing === 0 &&
      this.#failed === undefined &&
      !this.#kept
    );
  }

  get busy(): boolean {
    return this.#writing || this.#syncing > 0;
  }

  suspend(): void {
    this.#file.suspend();
  }

  awake(error?: MillraceError): void {
    if (error === undefined) this.#next();
    else this.#drop(this.#fail(error));
  }

  /**
   * Opens the file if it is suspended, and keeps it so until it is closed: its name is about to go to another file.
   * Errors: MR_ERR_DISK_WRITE.
   */
  keep(): void {
    this.#kept = true;
    try {
      if (!this.#file.isOpen && !this.#closed) this.#file.reopen(this.writtenBytes);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * Appends `ranges` (`bytes` in all), then a hole of `holeBytes`. `done` is called when they are written, before
   * `append` returns if the disk is quick, or with MR_ERR_DISK_FULL or MR_ERR_DISK_WRITE; after an error nothing more
   * is written.
   */
  append(ranges: Buffer[], bytes: number, done: Done, holeBytes = 0): void {
    if (this.#failed !== undefined || this.#closed) {
      done(
        this.#failed ??
          new MillraceError('MR_ERR_DISK_WRITE', { path: this.path, why: 'the file is closed' }),
      );
      return;
    }
    if (bytes + holeBytes === 0) {
      done();
      return;
    }
    this.acceptedBytes += bytes + holeBytes;
    const { pace, pool } = this.#env;
    try {
      if (pool.crowded && this.idle) this.#hasDescriptor();
    } catch (error) {
      done(this.#fail(error));
      return;
    }
    if (this.immediate && bytes <= quickBytes) {
      const startedMs = pace.now();
      try {
        this.#writeNow(ranges, bytes);
        if (holeBytes > 0) this.#growNow(holeBytes);
      } catch (error) {
        done(this.#fail(error));
        return;
      }
      pace.took(startedMs);
      done();
      return;
    }
    this.#env.bytesInFlight += bytes;
    this.#queue.push({ ranges, bytes, holeBytes, done });
    this.#next();
  }

  /** Appends at once, whatever the disk is like; only when idle. Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE. */
  appendNow(bytes: Buffer): void {
    this.acceptedBytes += bytes.length;
    try {
      if (!this.#file.isOpen) this.#file.reopen(this.writtenBytes);
      this.#writeNow([bytes], bytes.length);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Lets readers read up to `bytes`. */
  commit(bytes: number): void {
    if (bytes <= this.safeBytes) return;
    this.#file.release(this.safeBytes, bytes);
    this.safeBytes = bytes;
    this.#env.pool.freed();
  }

  /** Makes what is written durable; `done` later, off the event loop, with MR_ERR_DISK_WRITE if that failed. */
  sync(done: Done): void {
    try {
      if (!this.#file.isOpen) this.#file.reopen(this.writtenBytes);
    } catch (error) {
      done(this.#fail(error));
      return;
    }
    this.#syncing += 1;
    fdatasync(this.#file.fd, (error) => {
      this.#syncing -= 1;
      done(error === null ? undefined : this.#fail(error));
      if (this.#closeWhenIdle) this.close();
      this.#env.pool.freed();
    });
  }

  /** Cuts the file to `bytes`, the end of the last whole packet: what lies behind is torn. */
  cut(bytes: number): void {
    if (this.#closed || bytes >= this.writtenBytes) return;
    ftruncateSync(this.#file.fd, bytes);
    this.writtenBytes = bytes;
    this.acceptedBytes = bytes;
  }

  /**
   * Closes when the last accepted write and sync are through, cut to `wholeBytes` (asked then) if that is given; the
   * lock goes with the descriptor. Then calls `closed`.
   */
  close(wholeBytes?: () => number, closed?: () => void): void {
    this.#closeWhenIdle = true;
    this.#wholeBytes ??= wholeBytes;
    this.#whenClosed ??= closed;
    if (!this.idle || this.#syncing > 0 || this.#closed) return;
    if (this.#wholeBytes !== undefined) this.cut(this.#wholeBytes());
    this.#closed = true;
    this.#file.close();
    this.#env.open.delete(this);
    this.#whenClosed?.();
    if (this.#env.open.size === 0) this.#env.onAllClosed();
  }

  /** Whether the file has a descriptor, or gets one now; if not, it waits. Throws as `LockedFile.reopen`. */
  #hasDescriptor(): boolean {
    const { pool } = this.#env;
    if (this.#file.isOpen) pool.touch(this);
    else if (pool.hasRoomFor(this)) this.#file.reopen(this.writtenBytes);
    else pool.wait(this);
    return this.#file.isOpen;
  }

  #writeNow(ranges: Buffer[], bytes: number): void {
    let left = bytes;
    for (let from = 0; from < ranges.length; from += limits.writevRanges) {
      let part =
        ranges.length <= limits.writevRanges ? ranges : ranges.slice(from, from + limits.writevRanges);
      while (part.length > 0 && left > 0) {
        const written = writevSync(this.#file.fd, part, this.writtenBytes);
        this.writtenBytes += written;
        left -= written;
        part = behind(part, written);
      }
    }
  }

  #growNow(holeBytes: number): void {
    ftruncateSync(this.#file.fd, this.writtenBytes + holeBytes);
    this.writtenBytes += holeBytes;
  }

  #next(): void {
    if (this.#writing) return;
    const write = this.#queue[0];
    if (write === undefined) {
      if (this.#closeWhenIdle) this.close();
      return;
    }
    try {
      if (this.#env.pool.crowded && !this.#hasDescriptor()) return;
    } catch (error) {
      this.#drop(this.#fail(error));
      return;
    }
    this.#queue.shift();
    this.#writing = true;
    if (write.bytes > 0) this.#writeLater(write, write.ranges);
    else this.#growLater(write);
  }

  #writeLater(write: Write, ranges: Buffer[]): void {
    const startedMs = this.#env.pace.now();
    const { fd } = this.#file;
    writev(fd, ranges.slice(0, limits.writevRanges), this.writtenBytes, (error, written) => {
      this.#env.pace.took(startedMs);
      if (error !== null) {
        this.#finish(write, this.#fail(error));
        return;
      }
      this.writtenBytes += written;
      const rest = behind(ranges, written);
      if (rest.length > 0) this.#writeLater(write, rest);
      else if (write.holeBytes > 0) this.#growLater(write);
      else this.#finish(write);
    });
  }

  #growLater(write: Write): void {
    const endBytes = this.writtenBytes + write.holeBytes;
    ftruncate(this.#file.fd, endBytes, (error) => {
      if (error === null) this.writtenBytes = endBytes;
      this.#finish(write, error === null ? undefined : this.#fail(error));
    });
  }

  #finish(write: Write, error?: MillraceError): void {
    this.#writing = false;
    this.#env.bytesInFlight -= write.bytes;
    write.done(error);
    if (this.#failed !== undefined) this.#drop(this.#failed);
    else this.#next();
    this.#env.pool.freed();
  }

  /** What waits will not be written. */
  #drop(error: MillraceError): void {
    const rest = this.#queue;
    this.#queue = [];
    for (const { bytes, done } of rest) {
      this.#env.bytesInFlight -= bytes;
      done(error);
    }
    this.#next();
  }

  #fail(error: unknown): MillraceError {
    const full =
      (error as NodeJS.ErrnoException).code === 'ENOSPC' ||
      (error as NodeJS.ErrnoException).code === 'EDQUOT';
    this.#failed ??= full
      ? new MillraceError('MR_ERR_DISK_FULL', { path: this.path, what: why(error) }, { cause: error })
      : new MillraceError('MR_ERR_DISK_WRITE', { path: this.path, why: why(error) }, { cause: error });
    return this.#failed;
  }
}

/** What is left of `ranges` after their first `written` bytes. */
function behind(ranges: Buffer[], written: number): Buffer[] {
  let left = written;
  let i = 0;
  while (i < ranges.length && left >= (ranges[i] as Buffer).length) {
    left -= (ranges[i] as Buffer).length;
    i += 1;
  }
  const rest = ranges.slice(i);
  if (left > 0) rest[0] = (rest[0] as Buffer).subarray(left);
  return rest;
}
