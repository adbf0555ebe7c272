/**
 * A writer of a trace directory in a process of its own, as slow as is wanted. Argument: JSON of `WriterOptions`. On
 * stdout: a line with the number of packets stored so far, whenever that has changed.
 */
import { writeSync } from 'node:fs';
import { Transform } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { directorySource } from '../../lib/consumer/directory-source.ts';
import { storeSink } from '../../lib/disk/store-sink.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';

export interface WriterOptions {
  from: string;
  to: string;
  /** Between two frames, milliseconds. */
  pauseMs: number;
  /** Tracefiles of so many bytes, so many of them. */
  ring?: { sizeBytes: number; count: number };
  /** Dies by its own SIGKILL behind the first part of this packet, counted over all streams. */
  dieAtPacket?: number;
  /** Chunks are deleted, not archived. */
  clear?: boolean;
}

const options = JSON.parse(process.argv[2] ?? '') as WriterOptions;
let packets = 0;

function changed(frame: Frame): Frame {
  if (frame.kind === 'streamOpen' && options.ring !== undefined && frame.channelName !== 'metadata')
    return {
      ...frame,
      tracefileSizeBytes: BigInt(options.ring.sizeBytes),
      tracefileCount: BigInt(options.ring.count),
    };
  if (frame.kind === 'chunkDone' && options.clear === true && frame.action === 'moveToCompleted')
    return { ...frame, action: 'delete' };
  return frame;
}

/** Two parts of each packet, so that there is a moment in which it is not whole. */
function parts(frame: Frame): Frame[] {
  if (frame.kind !== 'data' || frame.end - frame.start < 2) return [frame];
  const middle = frame.start + 1;
  return [
    { ...frame, end: middle, last: false },
    { ...frame, start: middle, offsetBytes: frame.offsetBytes + 1 },
  ];
}

const slow = new Transform({
  objectMode: true,
  highWaterMark: 1,
  transform(batch: FrameBatch, _encoding, callback) {
    const split = async () => {
      for (const frame of batch.frames.map(changed).flatMap(parts)) {
        slow.push({ slab: batch.slab?.retain(), frames: [frame] });
        if (options.pauseMs > 0) await delay(options.pauseMs);
        if (frame.kind === 'data' && !frame.last) packets += 1;
        if (packets === options.dieAtPacket) process.kill(process.pid, 'SIGKILL');
        if (frame.kind === 'index') writeSync(1, `${packets}\n`);
      }
      batch.slab?.release();
    };
    split().then(() => callback(), callback);
  },
});

const outcome = await compose([
  { name: 'directory', stream: directorySource({ path: options.from }) },
  { name: 'slow', stream: slow },
  { name: 'store', stream: storeSink({ outputPath: options.to }) },
]).outcome;
if (outcome.kind !== 'end') throw new Error(JSON.stringify(outcome.kind));
