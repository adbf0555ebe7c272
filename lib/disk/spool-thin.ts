/** Dropping the packets of a spool's oldest segment: what they were is kept, as lost packets; every other fact stays. */
import { renameSync, statSync } from 'node:fs';
import type { Frame, Index } from '../stage/frames.ts';
import { encodeFrame } from './frame-codec.ts';
import { createLogFile, type LogWriter } from './log-writer.ts';
import type { Spool, SpoolSegment } from './spool.ts';
import { readSpool } from './spool-reader.ts';

const cause = 'the spool was full';

/**
 * Thins the oldest segment of which nothing is being read (`reading`: the number of the segment that is; undefined: none)
 * and that is not being written. Resolves to how many packets were dropped; undefined: there is no such segment.
 */
export async function thinOldest(spool: Spool, reading: number | undefined): Promise<number | undefined> {
  const segment = spool.segments.find(
    (each) => each.done && !each.thinned && each.written === each.frames && each.segment > (reading ?? -1),
  );
  if (segment === undefined) return undefined;
  segment.thinned = true;
  const path = `${segment.path}.new`;
  const log = createLogFile(path, { content: 'spool' });
  const dropped = await copyThin(spool, segment, log);
  renameSync(path, segment.path);
  segment.bytes = statSync(segment.path).size;
  return dropped;
}

/** Frame for frame, so that their numbers stay: data becomes nothing that is sent, an index becomes a loss. */
async function copyThin(spool: Spool, segment: SpoolSegment, log: LogWriter): Promise<number> {
  let dropped = 0;
  for await (const { frames, slab } of readSpool(spool, { only: segment })) {
    for (const frame of frames) {
      const thin = thinned(frame);
      if (thin.kind === 'lost') dropped += 1;
      const entry = encodeFrame(thin, slab?.bytes);
      await new Promise<void>((resolve, reject) => {
        log.write(entry, (error) => (error ? reject(error) : resolve()));
      });
    }
  }
  await new Promise<void>((resolve, reject) => {
    log.once('error', reject);
    log.end(resolve);
  });
  return dropped;
}

function thinned(frame: Frame): Frame {
  // a sync beacon of nobody: a fact that says nothing, in the place of bytes
  if (frame.kind === 'data') return { kind: 'sync', session: 0, safe: [] };
  if (frame.kind !== 'index') return frame;
  const index: Index = frame;
  return { kind: 'lost', stream: frame.stream, netSeqNum: frame.netSeqNum, cause, index };
}
