/**
 * Reads frame logs: as a Transform from bytes to records for whatever source, and for files with a beginning at a
 * point in time. A torn tail is a clean end that `ending` tells of; bytes in front of others that are no record
 * are an error.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Transform, type TransformCallback } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import {
  decodeSegmentHeader,
  mark,
  markEveryBytes,
  markRecordBytes,
  markTagBytes,
  recordChecksum,
  recordHeader,
  recordHeaderBytes,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../wire/frame-log.ts';
import { type LogEnding, LogParser } from './log-parser.ts';

export interface LogReaderOptions {
  /** For error messages. */
  path: string;
  /** Bytes of the longest record allowed. */
  maxRecordBytes?: number;
}

const readBytes = 262_144;

/** Transform from the bytes of one segment to `LogRecord`s. Errors: MR_ERR_LOG_RECORD, MR_ERR_LOG_VERSION. */
export class LogReader extends Transform {
  readonly #path: string;
  readonly #parser: LogParser;
  readonly #fromNs: bigint;
  #ending: LogEnding | undefined;

  constructor(
    options: LogReaderOptions & { fromNs?: bigint; resume?: { header: SegmentHeader; offset: number } },
  ) {
    super({ readableObjectMode: true, readableHighWaterMark: 16, writableHighWaterMark: readBytes });
    this.#path = options.path;
    this.#parser = new LogParser(options.path, options);
    this.#fromNs = options.fromNs ?? 0n;
  }

  /** What the segment says of itself; undefined until that was read. */
  get header(): SegmentHeader | undefined {
    return this.#parser.header;
  }

  /** How the log ended; undefined before its end. */
  get ending(): LogEnding | undefined {
    return this.#ending;
  }

  override _transform(bytes: Buffer, _: BufferEncoding, callback: TransformCallback): void {
    try {
      for (const record of this.#parser.push(bytes)) if (record.timeNs >= this.#fromNs) this.push(record);
      callback(this.#parser.damaged ? this.#failure(this.#parser.end()) : null);
    } catch (error) {
      callback(error as Error);
    }
  }

  override _flush(callback: TransformCallback): void {
    this.#ending = this.#parser.end();
    callback();
  }

  #failure({ offset, why }: LogEnding): MillraceError {
    return new MillraceError('MR_ERR_LOG_RECORD', { path: this.#path, offset, why });
  }
}

/**
 * The records of a log file, from the first one of `fromNs` (nanoseconds since 1970) on. Errors as `LogReader`,
 * and MR_ERR_DISK_READ.
 */
export async function readLogFile(path: string, options: { fromNs?: bigint } = {}): Promise<LogReader> {
  const { fromNs } = options;
  const resume = fromNs === undefined ? undefined : await findTime(path, fromNs);
  const reader = new LogReader({ path, ...(resume && { resume }), ...(fromNs && { fromNs }) });
  const source = createReadStream(path, { highWaterMark: readBytes, start: resume?.offset ?? 0 });
  source.once('error', (error) => reader.destroy(unreadable(path, error)));
  // The reader is the caller's stream: it must fail with the reason, which a composed pipe keeps to itself.
  reader.once('close', () => source.destroy());
  source.pipe(reader);
  return reader;
}

/**
 * Where to begin reading for the records from `timeNs` on: behind the last mark that is older, or at the first
 * record. Bisects the file by its marks, so the cost grows with the logarithm of the size.
 */
async function findTime(
  path: string,
  timeNs: bigint,
): Promise<{ header: SegmentHeader; offset: number } | undefined> {
  const file = await open(path, 'r').catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const beginning = await readAt(file, 0, segmentHeaderBytes);
    if (beginning.length < segmentHeaderBytes) return undefined;
    const header = decodeSegmentHeader(beginning, path);
    let offset = segmentHeaderBytes;
    let end = (await file.stat()).size;
    while (end - offset > markEveryBytes) {
      const middle = offset + Math.floor((end - offset) / 2);
      const found = await nextMark(file, middle, end);
      if (found === undefined || found.timeNs >= timeNs) end = middle;
      else offset = found.offset;
    }
    return { header, offset };
  } finally {
    await file.close();
  }
}

/** The first mark that begins in `[start, end)`. */
async function nextMark(
  file: FileHandle,
  start: number,
  end: number,
): Promise<{ offset: number; timeNs: bigint } | undefined> {
  for (let windowStart = start; windowStart < end; windowStart += readBytes) {
    const window = await readAt(file, windowStart, readBytes + markRecordBytes);
    let at = window.indexOf(markTagBytes);
    for (; at >= 0; at = window.indexOf(markTagBytes, at + 1)) {
      const offset = windowStart + at - recordHeaderBytes;
      const record = window.subarray(at - recordHeaderBytes, at - recordHeaderBytes + markRecordBytes);
      const timeNs = at < recordHeaderBytes ? undefined : timeOfMark(record, offset);
      if (timeNs !== undefined && offset < end) return { offset, timeNs };
    }
  }
  return undefined;
}

/** The time of a mark that begins at `offset`; undefined when these bytes are a copy of one, or a part. */
function timeOfMark(record: Buffer, offset: number): bigint | undefined {
  if (record.length < markRecordBytes) return undefined;
  const { timeNs, checksum } = recordHeader.decode(record);
  const body = record.subarray(recordHeaderBytes);
  if (recordChecksum(record, [body]) !== checksum) return undefined;
  return mark.decode(body).offset === BigInt(offset) ? timeNs : undefined;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = await file.read({ buffer, position });
  return buffer.subarray(0, bytesRead);
}

function unreadable(path: string, error: unknown): MillraceError {
  return new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
}
