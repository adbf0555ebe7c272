/**
 * The spool of one session on its way to another relay: its frames in a frame log of segments, in the order in which
 * they came. Frames are counted; what is acknowledged is forgotten segment by segment. Each segment begins with what
 * stood open there, so that it can be read without those before it: `SEGMENT-FIRST-OPENING.mrlog`, where FIRST is the
 * number of its first own frame and OPENING says how many frames in front of that repeat what stood open.
 *
 * A process that is killed loses nothing that `isWritten` said of; what was written is found again by `open`.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { Standing } from '../stage/standing.ts';
import { makeDirectory } from './directories.ts';
import { encodeFrame } from './frame-codec.ts';
import { createLogFile, type LogWriter } from './log-writer.ts';
import { SpoolTail, type TailBudget } from './spool-tail.ts';

/** One file of a spool. */
export interface SpoolSegment {
  path: string;
  segment: number;
  firstFrame: number;
  openingFrames: number;
  /** Own frames: given to the file, and known to be written. */
  frames: number;
  written: number;
  bytes: number;
  /** Nothing more comes into it. */
  done: boolean;
  /** Its packets were dropped. */
  thinned: boolean;
}

/** What is kept of a spool beside its frames; small, replaced whole. */
export interface SpoolNote {
  /** Frames before this one are acknowledged. */
  acknowledged: number;
  [fact: string]: unknown;
}

const noteName = 'note.json';
const segmentName = /^(\d{8})-(\d+)-(\d+)\.mrlog$/;
const usualSegmentBytes = 16 * 1024 * 1024;
const leastSegmentBytes = 65_536;
/** What may wait to be written before who sends is held back, bytes. */
const mostWaitingBytes = 8 * 1024 * 1024;
const noTail: readonly TailBudget[] = [{ held: 0, most: 0 }];

/** See the file's head. */
export class Spool {
  readonly directory: string;
  readonly segments: SpoolSegment[] = [];
  /** What came last, for a reader that keeps up. */
  readonly tail: SpoolTail;
  note: SpoolNote = { acknowledged: 0 };
  readonly #segmentBytes: number;
  readonly #standing = new Standing();
  #writer: LogWriter | undefined;
  #ended = false;
  #isTight = false;
  #waitingBytes = 0;
  /** The last frame that speaks of each stream's packets. */
  readonly #lastOf = new Map<number, number>();
  #failed: MillraceError | undefined;
  #watchers: (() => void)[] = [];

  private constructor(directory: string, segmentBytes: number, budgets: readonly TailBudget[]) {
    this.directory = directory;
    this.tail = new SpoolTail(budgets);
    this.#segmentBytes = segmentBytes;
  }

  /**
   * A new spool in a directory of its own, which is made. `budgets`: what may be held of it in memory. Throws
   * MR_ERR_DISK_CREATE.
   */
  static create(directory: string, segmentBytes = usualSegmentBytes, budgets = noTail): Spool {
    makeDirectory(directory);
    const spool = new Spool(directory, segmentBytes, budgets);
    // Its reader will be there in a moment.
    spool.tail.begin(0);
    return spool;
  }

  /** What a process that died has left; it takes no more frames. Throws MR_ERR_DISK_READ. */
  static open(directory: string): Spool {
    const spool = new Spool(directory, usualSegmentBytes, noTail);
    try {
      for (const name of readdirSync(directory).sort()) {
        const [, segment, firstFrame, openingFrames] = segmentName.exec(name) ?? [];
        if (segment === undefined) continue;
        const path = `${directory}/${name}`;
        spool.segments.push({
          path,
          segment: Number(segment),
          firstFrame: Number(firstFrame),
          openingFrames: Number(openingFrames),
          frames: Number.POSITIVE_INFINITY,
          written: Number.POSITIVE_INFINITY,
          bytes: statSync(path).size,
          done: true,
          thinned: false,
        });
      }
      spool.note = readNote(directory);
    } catch (error) {
      throw new MillraceError('MR_ERR_DISK_READ', { path: directory, why: why(error) }, { cause: error });
    }
    spool.#ended = true;
    return spool;
  }

  /** Bytes of all its files. */
  get sizeBytes(): number {
    return this.segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Room is wanted in it. */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** Whether data must come before anything else can be acknowledged. */
  get awaitsData(): boolean {
    return this.#standing.awaitsData;
  }

  /** Frames taken so far. */
  get frames(): number {
    const last = this.segments.at(-1);
    return last === undefined ? 0 : last.firstFrame + last.frames;
  }

  /** Nothing more will come, and all of it is written. */
  get isComplete(): boolean {
    return this.#ended && this.segments.every(({ frames, written }) => frames === written);
  }

  get failed(): MillraceError | undefined {
    return this.#failed;
  }

  /** Takes a batch over. Frames before a failure stay; those behind it are dropped, and `failed` says why. */
  append(batch: FrameBatch): void {
    for (const frame of batch.frames) if (this.#failed === undefined) this.#put(frame, batch.slab);
    releaseBatch(batch);
    if (this.tail.isKeeping) this.#changed();
  }

  #put(frame: Frame, slab: Slab | undefined): void {
    let segment = this.segments.at(-1);
    if (segment === undefined || this.#isFull(segment)) segment = this.#roll();
    this.#standing.take(frame, slab);
    if ('stream' in frame && (frame.kind === 'data' || frame.kind === 'index'))
      this.#lastOf.set(frame.stream, segment.firstFrame + segment.frames);
    if (frame.kind === 'streamEnd') this.#lastOf.delete(frame.stream);
    segment.frames += 1;
    this.tail.put(frame, slab);
    this.#write(segment, frame, slab, 1);
  }

  #isFull({ bytes }: SpoolSegment): boolean {
    return bytes >= (this.#isTight ? leastSegmentBytes : this.#segmentBytes) && !this.#standing.isWithin;
  }

  /** Room is wanted: from now on segments are short, so that what is acknowledged can go soon. */
  tighten(): void {
    this.#isTight = true;
    const last = this.segments.at(-1);
    if (last !== undefined && !this.#ended && this.#isFull(last)) this.#roll();
  }

  #roll(): SpoolSegment {
    this.#writer?.end();
    const last = this.segments.at(-1);
    if (last !== undefined) last.done = true;
    const number = (last?.segment ?? -1) + 1;
    const opening = [...this.#standing.opening()];
    const openingFrames = opening.reduce((sum, { frames }) => sum + frames.length, 0);
    const name = `${String(number).padStart(8, '0')}-${this.frames}-${openingFrames}.mrlog`;
    const segment: SpoolSegment = {
      path: `${this.directory}/${name}`,
      segment: number,
      firstFrame: this.frames,
      openingFrames,
      frames: 0,
      written: 0,
      bytes: 0,
      done: false,
      thinned: false,
    };
    this.segments.push(segment);
    this.#writer = createLogFile(segment.path, { content: 'spool' });
    this.#writer.on('error', (error) => this.#fail(error as MillraceError));
    for (const { frames, slab } of opening) for (const frame of frames) this.#write(segment, frame, slab, 0);
    return segment;
  }

  /** `own`: how many frames of the segment's own count this is. */
  #write(segment: SpoolSegment, frame: Frame, slab: Slab | undefined, own: 0 | 1): void {
    const entry = encodeFrame(frame, slab?.bytes);
    const bytes = entry.parts.reduce((sum, { length }) => sum + length, 32);
    const held = 'start' in frame ? slab?.retain() : undefined;
    segment.bytes += bytes;
    this.#waitingBytes += bytes;
    this.#writer?.write(entry, () => {
      held?.release();
      this.#waitingBytes -= bytes;
      segment.written += own;
      this.#changed();
    });
  }

  #fail(error: MillraceError): void {
    this.#failed ??= error;
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }

  /** Resolves when anything has changed: written, acknowledged, ended, failed; and when `signal` is aborted. */
  change(signal?: AbortSignal): Promise<void> {
    // An abort that came first calls nobody.
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      signal?.addEventListener('abort', wake, { once: true });
      this.#watchers.push(wake);
    });
  }

  /** Whether what came of this stream so far would survive the death of the process. */
  isWritten(stream: number): boolean {
    const last = this.#lastOf.get(stream);
    if (last === undefined || this.#failed !== undefined) return true;
    const segment = this.segments.findLast(({ firstFrame }) => firstFrame <= last);
    return segment === undefined || segment.firstFrame + segment.written > last;
  }

  /** Resolves when little enough waits to be written, and memory may hold more; for that it is a moment at the most. */
  async room(): Promise<void> {
    await this.tail.room();
    while (this.#waitingBytes > mostWaitingBytes && this.#failed === undefined) await this.change();
  }

  /** Nothing more comes; sessions that are open end here, as cut short. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#writer?.end(() => this.#changed());
    this.#changed();
  }

  /** Frames before `frame` are stored elsewhere: segments of which nothing else is left go. */
  acknowledge(frame: number): void {
    if (frame <= this.note.acknowledged) return;
    if (this.#isTight) this.tighten();
    this.noted({ acknowledged: frame });
    for (
      let next = this.segments[1];
      next !== undefined && next.firstFrame <= frame;
      next = this.segments[1]
    ) {
      rmSync((this.segments.shift() as SpoolSegment).path, { force: true });
    }
    this.#changed();
  }

  /** Keeps facts beside the frames. */
  noted(facts: Partial<SpoolNote>): void {
    this.note = { ...this.note, ...facts };
    const path = `${this.directory}/${noteName}`;
    writeFileSync(`${path}.new`, JSON.stringify(this.note));
    renameSync(`${path}.new`, path);
  }

  /** Everything in it is stored elsewhere. */
  remove(): void {
    this.segments.length = 0;
    rmSync(this.directory, { recursive: true, force: true });
    this.#changed();
  }
}

function readNote(directory: string): SpoolNote {
  try {
    return JSON.parse(readFileSync(`${directory}/${noteName}`, 'utf8')) as SpoolNote;
  } catch {
    // none yet, or the death came in between: what was acknowledged is sent again
    return { acknowledged: 0 };
  }
}
