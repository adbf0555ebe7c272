/** Dropping the packets of a spool's oldest segment: what they were is kept, as lost packets; every other fact stays. */
import { renameSync, statSync } from 'node:fs';
import type { Frame } from '../stage/frames.ts';
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

/** Packets of which both halves lie in the segment; the others are not touched. */
async function wholePackets(spool: Spool, segment: SpoolSegment): Promise<Set<string>> {
  const halves = new Set<string>();
  const whole = new Set<string>();
  for await (const { frames, opening } of readSpool(spool, { only: segment })) {
    if (opening) continue;
    for (const frame of frames) {
      if (frame.kind !== 'data' && frame.kind !== 'index') continue;
      const packet = packetOf(frame);
      if (frame.kind === 'data' && !frame.last) continue;
      if (halves.has(packet)) whole.add(packet);
      else halves.add(packet);
    }
  }
  return whole;
}

const packetOf = ({ stream, netSeqNum }: { stream: number; netSeqNum: bigint }): string =>
  `${stream} ${netSeqNum}`;

/** Frame for frame, so that their numbers stay: data becomes nothing that is sent, an index becomes a loss. */
async function copyThin(spool: Spool, segment: SpoolSegment, log: LogWriter): Promise<number> {
  const whole = await wholePackets(spool, segment);
  for await (const { frames, slab } of readSpool(spool, { only: segment }))
    for (const frame of frames) {
      const entry = encodeFrame(thinned(frame, whole), slab?.bytes);
      await new Promise<void>((resolve, reject) => {
        log.write(entry, (error) => (error ? reject(error) : resolve()));
      });
    }
  await new Promise<void>((resolve, reject) => {
    log.once('error', reject);
    log.end(resolve);
  });
  return whole.size;
}

function thinned(frame: Frame, whole: ReadonlySet<string>): Frame {
  if ((frame.kind !== 'data' && frame.kind !== 'index') || !whole.has(packetOf(frame))) return frame;
  // a sync beacon of nobody: a fact that says nothing, in the place of bytes
  if (frame.kind === 'data') return { kind: 'sync', session: 0, safe: [] };
  return { kind: 'lost', stream: frame.stream, netSeqNum: frame.netSeqNum, cause, index: frame };
}
