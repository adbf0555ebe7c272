/**
 * Writes a frame log into files or a byte stream. A Writable of entries: whatever waits goes out in one writev,
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
import { findSegments, segmentPath } from './log-segments.ts';

/** One record to be written. `timeNs`: nanoseconds since 1970; without it, the time of writing. */
export interface LogEntry {
  kind: LogKind;
  parts: readonly Buffer[];
  timeNs?: bigint;
}

export interface LogWriterOptions {
  content: LogContent;
  /** Place of the first segment in its log. */
  segment?: number;
  /** Size from which on the next record begins another segment, bytes; absent: there is one. Files only. */
  segmentBytes?: number;
  /** Segments that are kept: the oldest is deleted when there is one more. Absent: all. */
  segments?: number;
}

/** Where the bytes of a log go. */
interface Target {
  write(ranges: Buffer[]): Promise<void>;
  /** Resolves when all has left. */
  close(): Promise<void>;
  /** Lets go of it without waiting for whoever is slow. */
  destroy(): Promise<void>;
}

const startNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

/** Nanoseconds since 1970, as fine as the monotonic clock and never going back. */
export function nowNs(): bigint {
  return startNs + process.hrtime.bigint();
}

/** The writing end of a log. Errors: MR_ERR_DISK_CREATE, MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE. */
export class LogWriter extends Writable {
  readonly #open: (segment: number) => Promise<Target>;
  readonly #content: LogContent;
  readonly #segmentBytes: number;
  #segment: number;
  #encoder = new LogEncoder();
  /** Of the segments before this one. */
  #closedBytes = 0;
  #target: Target | undefined;

  constructor(open: (segment: number) => Promise<Target>, options: LogWriterOptions) {
    super({ objectMode: true, highWaterMark: 16 });
    this.#open = open;
    this.#content = options.content;
    this.#segment = options.segment ?? 0;
    this.#segmentBytes = options.segmentBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes of the log that were written or are on their way. */
  get sizeBytes(): number {
    return this.#closedBytes + this.#encoder.offset;
  }

  override _construct(callback: (error?: Error | null) => void): void {
    this.#begin().then(() => callback(), callback);
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
    (target?.destroy() ?? Promise.resolve()).then(done, done);
  }

  #put(entries: LogEntry[], callback: (error?: Error | null) => void): void {
    this.#writeAll(entries).then(() => callback(), callback);
  }

  async #writeAll(entries: LogEntry[]): Promise<void> {
    let ranges: Buffer[] = [];
    for (const { kind, timeNs, parts } of entries) {
      if (this.#encoder.offset >= this.#segmentBytes) {
        await this.#write(ranges);
        ranges = [];
        await this.#rotate();
      }
      ranges.push(...this.#encoder.record(kind, timeNs ?? nowNs(), parts));
    }
    await this.#write(ranges);
  }

  async #write(ranges: Buffer[]): Promise<void> {
    if (ranges.length > 0) await (this.#target as Target).write(ranges);
  }

  async #rotate(): Promise<void> {
    await (this.#target as Target).close();
    this.#closedBytes += this.#encoder.offset;
    this.#encoder = new LogEncoder();
    this.#segment += 1;
    await this.#begin();
  }

  async #begin(): Promise<void> {
    const segment = this.#segment;
    const target = await this.#open(segment);
    if (this.destroyed) return target.destroy();
    this.#target = target;
    await target.write([this.#encoder.header({ content: this.#content, segment, createdNs: nowNs() })]);
  }
}

/**
 * A log in new files: `path`, then `path.1`, `path.2`, … where there are several segments. Directories on the way are
 * made. Fails with MR_ERR_DISK_CREATE where a log of that name exists already.
 */
export function createLogFile(path: string, options: LogWriterOptions): LogWriter {
  const { segments = Number.POSITIVE_INFINITY, segment: first = 0 } = options;
  return new LogWriter(async (segment) => {
    try {
      // Loaded here, so that a relay, which writes no captures, does not wait for it.
      const { default: fse } = await import('fs-extra');
      if (segment === first) {
        await fse.ensureDir(dirname(path));
        const [found] = await findSegments(path);
        if (found !== undefined) throw new Error(`${found.path} is there already`);
      }
      const target = fileTarget(path, await open(segmentPath(path, segment), 'wx', 0o660));
      if (segment - segments >= first) await fse.remove(segmentPath(path, segment - segments));
      return target;
    } catch (error) {
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
  }, options);
}

/**
 * A log into a byte stream such as stdout, which stands in errors as `name`; the end of the log ends the stream. Fails
 * with MR_ERR_DISK_WRITE when nobody reads it any more.
 */
export function createLogStream(to: Writable, options: LogWriterOptions, name = 'stream'): LogWriter {
  const failed = (cause: unknown) => {
    const closed = (cause as NodeJS.ErrnoException).code === 'EPIPE';
    const facts = { path: name, why: closed ? 'nobody reads it any more (EPIPE)' : why(cause) };
    return new MillraceError('MR_ERR_DISK_WRITE', facts, { cause });
  };
  const log = new LogWriter(async () => streamTarget(to, failed), options);
  to.on('error', (error) => log.destroy(failed(error)));
  return log;
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
    destroy: () => file.close(),
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

function streamTarget(to: Writable, failed: (cause: unknown) => MillraceError): Target {
  return {
    write: (ranges) =>
      new Promise((resolve, reject) => {
        // a transform that is destroyed forgets the write that it was holding
        const gone = () => reject(failed(to.errored ?? new Error('it was closed')));
        to.once('close', gone);
        to.cork();
        const [last, ...before] = ranges.toReversed();
        for (const range of before.reverse()) to.write(range);
        to.write(last, (error) => {
          to.off('close', gone);
          if (error) reject(failed(error));
          else resolve();
        });
        to.uncork();
      }),
    async close() {
      if (to.writableFinished || to.destroyed) return;
      to.end();
      await once(to, 'finish');
    },
    async destroy() {
      to.destroy();
    },
  };
}
