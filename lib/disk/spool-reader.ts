/** Reads a spool from its beginning, or where it was left, while it is being written. */
import { type FileHandle, open } from 'node:fs/promises';
import { MillraceError, why } from '../errors.ts';
import type { FrameBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import { looseSlab } from '../stage/slab.ts';
import { decodeFrame } from './frame-codec.ts';
import { LogParser, type LogRecord } from './log-parser.ts';
import type { Spool, SpoolSegment } from './spool.ts';

/** Frames as they lie together; `opening`: they repeat what stood open in front of `firstFrame`. */
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
  /** Told of each segment before it is read. */
  reading?: (segment: number) => void;
  signal?: AbortSignal;
}

const readBytes = 1_048_576;

/**
 * Everything from the segment that holds frame `from` on: first what stood open at its beginning, then its frames. At
 * the end of what is written it waits, unless `toEnd`; ends when the spool does. A segment's torn tail is its end. Errors:
 * MR_ERR_DISK_READ, MR_ERR_LOG_RECORD, the signal's reason.
 */
export async function* readSpool(
  spool: Spool,
  { from = 0, toEnd = false, only, reading, signal }: SpoolReadOptions = {},
): AsyncGenerator<SpoolPart, void> {
  if (only !== undefined) {
    yield* readSegment(spool, only, true, true, signal);
    return;
  }
  let segment = spool.segments.findLast(({ firstFrame }) => firstFrame <= from) ?? spool.segments[0];
  let isFirst = true;
  for (;;) {
    while (segment === undefined && !toEnd && !spool.isComplete) {
      await spool.change(signal);
      signal?.throwIfAborted();
      segment = spool.segments[0];
    }
    if (segment === undefined) return;
    reading?.(segment.segment);
    yield* readSegment(spool, segment, isFirst, toEnd, signal);
    isFirst = false;
    const { segment: number } = segment;
    const next: SpoolSegment | undefined = spool.segments.find((each) => each.segment > number);
    if (next === undefined) return;
    segment = next;
  }
}

async function* readSegment(
  spool: Spool,
  segment: SpoolSegment,
  withOpening: boolean,
  toEnd: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<SpoolPart, void> {
  const { path, openingFrames } = segment;
  const parser = new LogParser(path);
  const file = await opened(path, spool, signal);
  let frame = segment.firstFrame - openingFrames;
  try {
    for (let position = 0; ; ) {
      const bytes = Buffer.allocUnsafeSlow(readBytes);
      const { bytesRead } = await file.read({ buffer: bytes, position });
      position += bytesRead;
      for (const part of partsOf(parser.push(bytes.subarray(0, bytesRead)), bytes)) {
        const opening = frame < segment.firstFrame;
        // A part has frames of one sort only: what is opening is looked at one by one.
        for (const piece of opening ? single(part) : [part]) {
          const isOpening = frame < segment.firstFrame;
          if (!isOpening || withOpening) yield { ...piece, firstFrame: frame, opening: isOpening };
          frame += piece.frames.length;
        }
      }
      if (parser.damaged) throw new MillraceError('MR_ERR_LOG_RECORD', { path, ...parser.end() });
      if (bytesRead > 0) continue;
      const isWhole = segment.done && segment.written === segment.frames;
      if (isWhole || toEnd || segment.frames === Number.POSITIVE_INFINITY) {
        const { size } = await file.stat();
        if (size === position) return;
        continue;
      }
      if (spool.isComplete) return;
      await spool.change(signal);
      signal?.throwIfAborted();
    }
  } finally {
    await file.close();
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

/** One batch for what lies in one read, and one for a record that lies across two. */
function* partsOf(records: readonly LogRecord[], bytes: Buffer): Generator<FrameBatch> {
  let together: Frame[] = [];
  const flush = function* (): Generator<FrameBatch> {
    if (together.length > 0) yield { slab: looseSlab(bytes), frames: together };
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

function* single({ slab, frames }: FrameBatch): Generator<FrameBatch> {
  for (const frame of frames) yield { slab, frames: [frame] };
}
