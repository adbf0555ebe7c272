/**
 * Writes a frame log into a file or a byte stream. A Writable of entries: whatever waits goes out in one writev,
 * and the callback of a write says that its bytes have left, so until then the parts of an entry are borrowed.
 */
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { LogContent, LogKind } from '../wire/frame-log.ts';
import { LogEncoder } from './log-encoder.ts';

/** One record to be written. `timeNs`: nanoseconds since 1970; without it, the time of writing. */
export interface LogEntry {
  kind: LogKind;
  parts: readonly Buffer[];
  timeNs?: bigint;
}

export interface LogWriterOptions {
  content: LogContent;
  /** Place of this segment in its log. */
  segment?: number;
}

/** Where the bytes of a log go. */
interface Target {
  write(ranges: Buffer[]): Promise<void>;
  close(): Promise<void>;
}

const startNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

/** Nanoseconds since 1970, as fine as the monotonic clock and never going back. */
export function nowNs(): bigint {
  return startNs + process.hrtime.bigint();
}

/** The writing end of one segment. Errors: MR_ERR_DISK_CREATE, MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE. */
export class LogWriter extends Writable {
  readonly #open: () => Promise<Target>;
  readonly #options: Required<LogWriterOptions>;
  readonly #encoder = new LogEncoder();
  #target: Target | undefined;

  constructor(open: () => Promise<Target>, { content, segment = 0 }: LogWriterOptions) {
    super({ objectMode: true, highWaterMark: 16 });
    this.#open = open;
    this.#options = { content, segment };
  }

  /** Bytes of the segment that were written or are on their way. */
  get sizeBytes(): number {
    return this.#encoder.offset;
  }

  override _construct(callback: (error?: Error | null) => void): void {
    this.#open()
      .then((target) => {
        this.#target = target;
        return target.write([this.#encoder.header({ ...this.#options, createdNs: nowNs() })]);
      })
      .then(() => callback(), callback);
  }

  override _write(entry: LogEntry, _: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#put([entry], callback);
  }

  override _writev(entries: { chunk: LogEntry }[], callback: (error?: Error | null) => void): void {
    this.#put(
      entries.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: (error?: Error | null) => void): void {
    const target = this.#target;
    this.#target = undefined;
    (target?.close() ?? Promise.resolve()).then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const target = this.#target;
    this.#target = undefined;
    const done = () => callback(error);
    (target?.close() ?? Promise.resolve()).then(done, done);
  }

  #put(entries: LogEntry[], callback: (error?: Error | null) => void): void {
    let ranges: Buffer[];
    try {
      ranges = entries.flatMap(({ kind, timeNs, parts }) => {
        return this.#encoder.record(kind, timeNs ?? nowNs(), parts);
      });
    } catch (error) {
      callback(error as Error);
      return;
    }
    (this.#target as Target).write(ranges).then(() => callback(), callback);
  }
}

/** A log in a new file; directories on the way are made. Fails with MR_ERR_DISK_CREATE where the path exists already. */
export function createLogFile(path: string, options: LogWriterOptions): LogWriter {
  return new LogWriter(async () => {
    try {
      // Loaded here, so that a relay, which writes no captures, does not wait for it.
      const { default: fse } = await import('fs-extra');
      await fse.ensureDir(dirname(path));
      return fileTarget(path, await open(path, 'wx', 0o660));
    } catch (error) {
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
  }, options);
}

/** A log into a byte stream such as stdout; the end of the log ends the stream. */
export function createLogStream(to: Writable, options: LogWriterOptions): LogWriter {
  return new LogWriter(async () => streamTarget(to), options);
}

function fileTarget(path: string, file: FileHandle): Target {
  return {
    async write(ranges) {
      try {
        await writeWhole(file, ranges);
      } catch (error) {
        const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
        throw full
          ? new MillraceError('MR_ERR_DISK_FULL', { path, what: 'frame log' }, { cause: error })
          : new MillraceError('MR_ERR_DISK_WRITE', { path, why: why(error) }, { cause: error });
      }
    },
    close: () => file.close(),
  };
}

/** Writes all ranges behind each other at the file's position, however few bytes a call takes. */
async function writeWhole(file: FileHandle, ranges: Buffer[]): Promise<void> {
  let rest = ranges.filter((range) => range.length > 0);
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest.slice(0, limits.writevRanges));
    let whole = 0;
    while (whole < rest.length && bytesWritten >= (rest[whole] as Buffer).length) {
      bytesWritten -= (rest[whole] as Buffer).length;
      whole += 1;
    }
    rest = rest.slice(whole);
    if (bytesWritten > 0) rest[0] = (rest[0] as Buffer).subarray(bytesWritten);
  }
}

function streamTarget(to: Writable): Target {
  return {
    write: (ranges) =>
      new Promise((resolve, reject) => {
        to.cork();
        const [last, ...before] = ranges.toReversed();
        for (const range of before.reverse()) to.write(range);
        to.write(last, (error) => (error ? reject(error) : resolve()));
        to.uncork();
      }),
    async close() {
      if (to.writableFinished || to.destroyed) return;
      to.end();
      await once(to, 'finish');
    },
  };
}
