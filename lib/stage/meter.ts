/** A stage that counts what passes and changes nothing. */
import type { Duplex } from 'node:stream';
import type { FrameBatch } from './batch.ts';
import { objectStage } from './stage.ts';

/** What has passed. */
export interface Passed {
  sessions: number;
  /** Sessions that ended with `abort`. */
  aborted: number;
  streams: number;
  packets: number;
  /** Of packets, without padding. */
  bytes: number;
  metadataBytes: number;
  /** Packets that will never come. */
  lost: number;
}

/** A meter and its counts, which go on. */
export function meter(): { stage: Duplex; passed: Readonly<Passed> } {
  const passed: Passed = {
    sessions: 0,
    aborted: 0,
    streams: 0,
    packets: 0,
    bytes: 0,
    metadataBytes: 0,
    lost: 0,
  };
  const stage = objectStage<FrameBatch, FrameBatch>('meter', {
    transform(batch, push) {
      for (const frame of batch.frames) {
        if (frame.kind === 'sessionOpen') passed.sessions += 1;
        else if (frame.kind === 'sessionEnd') passed.aborted += frame.outcome === 'abort' ? 1 : 0;
        else if (frame.kind === 'streamOpen') passed.streams += 1;
        else if (frame.kind === 'lost') passed.lost += 1;
        else if (frame.kind === 'metadata') passed.metadataBytes += frame.end - frame.start;
        else if (frame.kind === 'data') {
          passed.packets += frame.last ? 1 : 0;
          passed.bytes += frame.end - frame.start;
        }
      }
      push(batch);
    },
  });
  return { stage, passed };
}
