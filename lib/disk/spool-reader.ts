/** Reads a spool from its beginning, or where it was left, while it is being written. */
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError, why } from '../errors.ts';
import type { FrameBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import { looseSlab, type Slab, SlabPool } from '../stage/slab.ts';
import { decodeFrame } from './frame-codec.ts';
import { LogParser, type LogRecord } from './log-parser.ts';
import { Pace } from './pace.ts';
import { QuickReads } from './quick-reads.ts';
import type { Spool, SpoolSegment } from './spool.ts';

/**
 * Frames as they lie together; the slab is borrowed until the next part is asked for. `opening`: they repeat what stood
 * open in front of `firstFrame`.
 */
export interface SpoolPart extends FrameBatch {
  firstFrame: number;
  opening: boolean;
}

export interface SpoolReadOptions {
  /** First frame that is wanted. */
  from?: number;
  /** Ends where nothing more is written by now. */
  toEnd?: boolean;
  /** This segment alone. */
  only?: SpoolSegment;
  /** Told of each segment before what is in it. */
  reading?: (segment: number) => void;
  signal?: AbortSignal;
}

const readBytes = 1_048_576;
/** Buffers that are read into in turn. */
const buffers = 8;

/**
 * Everything from the segment that holds frame `from` on: first what stood open at its beginning, then its frames. At
 * the end of what has come it waits, unless `toEnd`; ends when the spool does. A segment's torn tail is its end. Who does
 * not read `toEnd` is the one reader that has the spool's tail. Errors: MR_ERR_DISK_READ, MR_ERR_LOG_RECORD, the
 * signal's reason.
 */
export async function* readSpool(
  spool: Spool,
  options: SpoolReadOptions = {},
): AsyncGenerator<SpoolPart, void> {
  const reader = new SpoolReader(spool, options);
  try {
    for await (const part of reader.parts())
      try {
        yield part;
      } finally {
        part.slab?.release();
      }
  } finally {
    reader.end();
  }
}

class SpoolReader {
  readonly #spool: Spool;
  readonly #options: SpoolReadOptions;
  readonly #pool = new SlabPool({ slabBytes: readBytes, slabs: buffers });
  readonly #quota = this.#pool.quota(buffers);
  readonly #hasTail: boolean;
  /** The first frame that was not given out. */
  #next = 0;

  constructor(spool: Spool, options: SpoolReadOptions) {
    this.#spool = spool;
    this.#options = options;
    this.#hasTail = options.toEnd !== true && options.only === undefined;
  }

  /** Each part's slab is the receiver's. */
  async *parts(): AsyncGenerator<SpoolPart, void> {
    const { only, from = 0 } = this.#options;
    if (only !== undefined) {
      this.#next = only.firstFrame;
      yield* this.#segment(only, true);
      return;
    }
    // Who begins with the first frame of all, or has been given something, knows what stands open.
    if (from > 0 || (this.#spool.segments.length > 0 && !this.#isInTail)) {
      const first = await this.#first(from);
      if (first === undefined) return;
      yield* this.#goOn(first, true);
    }
    for (;;) {
      yield* this.#tail();
      const { segments } = this.#spool;
      const segment = segments.findLast(({ firstFrame }) => firstFrame <= this.#next);
      // Behind the end of the one segment there may be another one.
      if (segment === undefined || this.#isBehind(segment)) {
        if (this.#options.toEnd === true || this.#spool.isComplete) return;
        this.#caughtUp();
        await this.#change();
      } else yield* this.#goOn(segment, false);
    }
  }

  /** All that has come was given out: what comes next need not be read. */
  #caughtUp(): void {
    const { frames, tail } = this.#spool;
    if (this.#next !== frames) return;
    tail.pass(frames);
    tail.begin(frames);
  }

  get #isInTail(): boolean {
    return this.#hasTail && this.#spool.tail.has(this.#next);
  }

  #isBehind({ firstFrame, frames }: SpoolSegment): boolean {
    return this.#next >= firstFrame + frames;
  }

  async #change(): Promise<void> {
    const { signal } = this.#options;
    await this.#spool.change(signal);
    signal?.throwIfAborted();
  }

  /** The segment that holds frame `from`, when there is one. */
  async #first(from: number): Promise<SpoolSegment | undefined> {
    for (;;) {
      const { segments } = this.#spool;
      const segment = segments.findLast(({ firstFrame }) => firstFrame <= from) ?? segments[0];
      if (segment !== undefined) return segment;
      if (this.#options.toEnd === true || this.#spool.isComplete) return undefined;
      await this.#change();
    }
  }

  /** What is in memory, as far as that goes. */
  *#tail(): Generator<SpoolPart, void> {
    if (!this.#hasTail) return;
    for (
      let part = this.#spool.tail.take(this.#next);
      part !== undefined;
      part = this.#spool.tail.take(this.#next)
    ) {
      const firstFrame = this.#next;
      this.#next += part.frames.length;
      const segment = this.#spool.segments.findLast((each) => each.firstFrame <= firstFrame);
      if (segment !== undefined) this.#options.reading?.(segment.segment);
      yield { ...part, firstFrame, opening: false };
    }
  }

  /** A segment from the next frame on; the first one is given whole. */
  async *#goOn(segment: SpoolSegment, isFirst: boolean): AsyncGenerator<SpoolPart, void> {
    this.#options.reading?.(segment.segment);
    if (isFirst) this.#next = segment.firstFrame;
    const isWhole = yield* this.#segment(segment, isFirst);
    if (!isWhole) return;
    // What is torn off its end is missing.
    const following = this.#spool.segments.find((each) => each.segment > segment.segment);
    this.#next = Math.max(this.#next, following?.firstFrame ?? Number.POSITIVE_INFINITY);
  }

  /**
   * A segment from the next frame on, with what stands open in front of it if that is wanted. Returns whether that is all
   * that will ever be in it; false: the next frame is in memory, or has not come.
   */
  async *#segment(segment: SpoolSegment, withOpening: boolean): AsyncGenerator<SpoolPart, boolean> {
    const { signal, toEnd = false, only } = this.#options;
    const { path, openingFrames } = segment;
    const parser = new LogParser(path);
    const file = await opened(path, this.#spool, signal);
    const quick = new QuickReads(new Pace());
    let frame = segment.firstFrame - openingFrames;
    /** Those in which a record may lie that is not whole yet. */
    const held: Slab[] = [];
    try {
      for (let position = 0; ; ) {
        const slab = this.#pool.acquire(this.#quota) ?? looseSlab(Buffer.allocUnsafeSlow(readBytes));
        held.push(slab);
        const bytesRead = await readAt(file, quick, slab.bytes, position);
        position += bytesRead;
        const records = parser.push(slab.bytes.subarray(0, bytesRead));
        for (const part of partsOf(records, slab)) {
          const opening = frame < segment.firstFrame;
          // A part has frames of one sort only: what is opening is looked at one by one.
          for (const piece of opening ? single(part) : [part]) {
            const firstFrame = frame;
            frame += piece.frames.length;
            if (firstFrame < segment.firstFrame) {
              if (withOpening) yield { ...piece, slab: piece.slab.retain(), firstFrame, opening: true };
              continue;
            }
            const passed = Math.min(piece.frames.length, Math.max(0, this.#next - firstFrame));
            const frames = passed === 0 ? piece.frames : piece.frames.slice(passed);
            if (frames.length === 0) continue;
            this.#next = frame;
            yield { slab: piece.slab.retain(), frames, firstFrame: firstFrame + passed, opening: false };
          }
        }
        if (records.length > 0) for (const old of held.splice(0, held.length - 1)) old.release();
        if (parser.damaged) throw new MillraceError('MR_ERR_LOG_RECORD', { path, ...parser.end() });
        if (this.#isInTail) return false;
        if (bytesRead > 0) continue;
        const isWhole = segment.done && segment.written === segment.frames;
        if (isWhole || toEnd || only !== undefined || segment.frames === Number.POSITIVE_INFINITY) {
          const { size } = await file.stat();
          if (size === position) return true;
          continue;
        }
        if (this.#isBehind(segment)) return false;
        // The rest of it is being written: what comes from now on need not be read again.
        this.#spool.tail.begin(this.#spool.frames);
        await this.#change();
      }
    } finally {
      for (const slab of held) slab.release();
      await file.close();
    }
  }

  /** Nobody reads any more. */
  end(): void {
    if (this.#hasTail) this.#spool.tail.drop();
  }
}

/** The file is made a moment after its segment. */
async function opened(path: string, spool: Spool, signal: AbortSignal | undefined): Promise<FileHandle> {
  for (;;) {
    try {
      return await open(path, 'r');
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!isMissing || spool.isComplete)
        throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
      await spool.change(signal);
      signal?.throwIfAborted();
    }
  }
}

/** Reads as much as there is; whoever else needs the event loop has it in between. */
async function readAt(file: FileHandle, quick: QuickReads, bytes: Buffer, position: number): Promise<number> {
  const got = quick.read(file.fd, bytes, 0, bytes.length, position);
  if (got === 0) return (await file.read({ buffer: bytes, position })).bytesRead;
  await nextTurn();
  return got;
}

/** Frames and the memory they lie in, which is somebody else's. */
interface Piece {
  slab: Slab;
  frames: Frame[];
}

/** One piece for what lies in one read, and one for a record that lies across two. */
function* partsOf(records: readonly LogRecord[], slab: Slab): Generator<Piece> {
  const { bytes } = slab;
  let together: Frame[] = [];
  const flush = function* (): Generator<Piece> {
    if (together.length > 0) yield { slab, frames: together };
    together = [];
  };
  for (const record of records) {
    const { body } = record;
    const isInside = body.buffer === bytes.buffer;
    const frame = decodeFrame(record, isInside ? body.byteOffset - bytes.byteOffset : 0);
    if (frame === undefined) continue;
    if (isInside) together.push(frame);
    else {
      yield* flush();
      yield { slab: looseSlab(body), frames: [frame] };
    }
  }
  yield* flush();
}

function* single({ slab, frames }: Piece): Generator<Piece> {
  for (const frame of frames) yield { slab, frames: [frame] };
}
