/**
 * The beginning of a pipe of frames that is a frame log: a capture in files, or standard input. Bodies are ranges of
 * what was read; one batch for what a read brought, and one for a record that lies across two reads. What it hands out
 * is as it was written, by whomever: an order stage belongs behind it.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import { looseSlab } from '../stage/slab.ts';
import { Tempo } from '../stage/tempo.ts';
import { tell } from '../telemetry.ts';
import { decodeFrame } from './frame-codec.ts';
import { LogParser, type LogRecord } from './log-parser.ts';
import { findSegments } from './log-segments.ts';

/** A log of frames: files, or a stream whose `name` stands in errors. */
export type CaptureInput = { path: string } | { stream: Readable; name: string };

/** `speed`: 1 = frames come at the pace at which they were written, 2 = twice as fast; absent: as fast as they go. */
export interface CaptureSourceOptions {
  speed?: number;
}

/** A source that can say how its log ended. */
export interface CaptureSource extends Readable {
  /** Whether the log breaks off in the middle of a record, as its writer's death leaves it. */
  readonly torn: boolean;
}

/**
 * A Readable of FrameBatch, all frames of the log in order. Ends behind the last whole record; a torn tail is told
 * (`disk:torn`). Fails with MR_ERR_LOG_RECORD (damaged, empty, no log, no log of frames, without its first segment),
 * MR_ERR_LOG_VERSION, MR_ERR_WIRE_*, MR_ERR_DISK_READ.
 */
export function captureSource(input: CaptureInput, options: CaptureSourceOptions = {}): CaptureSource {
  return new LogFrames(input, options);
}

class LogFrames extends Readable implements CaptureSource {
  readonly #input: CaptureInput;
  readonly #gone = new AbortController();
  readonly #tempo: Tempo | undefined;
  #reading: Readable | undefined;
  #wake: (() => void) | undefined;
  #begun = false;
  #wanted = false;
  torn = false;

  constructor(input: CaptureInput, { speed }: CaptureSourceOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#input = input;
    this.#tempo = speed === undefined ? undefined : new Tempo(speed, this.#gone.signal);
  }

  override _read(): void {
    this.#wanted = true;
    this.#wake?.();
    if (this.#begun) return;
    this.#begun = true;
    this.#run().then(
      () => this.push(null),
      (error) => {
        if (!this.destroyed) this.destroy(error as Error);
      },
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#gone.abort();
    this.#reading?.destroy();
    this.#wake?.();
    callback(error);
  }

  async #run(): Promise<void> {
    if ('stream' in this.#input) return this.#segment(this.#input.stream, this.#input.name, true);
    const { path } = this.#input;
    const segments = await findSegments(path);
    const files = segments.length === 0 ? [{ segment: 0, path }] : segments;
    for (const [at, file] of files.entries()) {
      if (file.segment !== at)
        throw failure(path, 0, `segment ${at} is missing; frames cannot be understood without it`);
      const reading = createReadStream(file.path, { highWaterMark: limits.scratchBytes * 4 });
      await this.#segment(reading, file.path, at === files.length - 1);
    }
  }

  /** `isLast`: only the last segment of a log may be torn. */
  async #segment(reading: Readable, name: string, isLast: boolean): Promise<void> {
    if (this.destroyed) return void reading.destroy();
    this.#reading = reading;
    const parser = new LogParser(name);
    for await (const bytes of readErrors(reading, name)) {
      const records = parser.push(bytes);
      if (parser.header !== undefined && parser.header.content !== 'frames')
        throw failure(name, 0, `it holds no frames, but a ${parser.header.content}`);
      // at a pace each frame has its own time
      for (const some of this.#tempo === undefined ? [records] : records.map((record) => [record])) {
        if (some[0] !== undefined) await this.#tempo?.until(some[0].timeNs);
        for (const batch of batchesOf(some, bytes)) await this.#hand(batch);
      }
      if (parser.damaged) break;
    }
    const { outcome, offset, why } = parser.end();
    if (parser.header === undefined) throw failure(name, 0, 'it ended before it began');
    if (outcome === 'damaged' || (outcome === 'torn' && !isLast)) throw failure(name, offset, why);
    if (outcome === 'whole') return;
    this.torn = true;
    tell('warn', 'disk:torn', `${name} breaks off in the middle of a record`, { path: name, offset });
  }

  async #hand(batch: FrameBatch): Promise<void> {
    if (this.destroyed) return releaseBatch(batch);
    this.#wanted = false;
    if (this.push(batch) || this.#wanted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}

/** What was read, or MR_ERR_DISK_READ. */
async function* readErrors(reading: Readable, path: string): AsyncGenerator<Buffer> {
  try {
    yield* reading as AsyncIterable<Buffer>;
  } catch (error) {
    throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
  }
}

/** Frames by the memory that they lie in: that of `bytes`, or of a record that was put together. */
function batchesOf(records: LogRecord[], bytes: Buffer): FrameBatch[] {
  const batches: FrameBatch[] = [];
  const frames: Frame[] = [];
  for (const record of records) {
    const { body } = record;
    const at = body.buffer === bytes.buffer ? body.byteOffset - bytes.byteOffset : -1;
    const inPlace = at >= 0 && at + body.length <= bytes.length;
    const frame = decodeFrame(record, inPlace ? at : 0);
    if (frame === undefined) continue;
    if (inPlace || !('start' in frame)) frames.push(frame);
    else batches.push({ slab: looseSlab(body), frames: [frame] });
  }
  if (frames.length > 0) batches.push({ slab: looseSlab(bytes), frames });
  return batches;
}

function failure(path: string, offset: number, why: string): MillraceError {
  return new MillraceError('MR_ERR_LOG_RECORD', { path, offset, why });
}
