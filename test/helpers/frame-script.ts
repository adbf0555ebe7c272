/** Batches of frames made by hand, with the bytes that they point into, and the sink that is fed with them. */
import type { Writable } from 'node:stream';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose, type Outcome } from '../../lib/stage/compose.ts';
import type { Data, Frame, Metadata } from '../../lib/stage/frames.ts';
import { SlabPool } from '../../lib/stage/slab.ts';
import { data, index, metadata } from './frames.ts';
import { sourceOf } from './pipes.ts';
import { indexFacts } from './requests.ts';

/** A frame, or one with bytes that lie in the batch's slab. */
export type Scripted = Frame | { frame: Data | Metadata; content: Buffer };

/** One metadata command. */
export const text = (content: string, given: Partial<Metadata> = {}): Scripted => ({
  frame: metadata(given),
  content: Buffer.from(content),
});

/** Bytes `[from, to)` of a packet. */
export function part(stream: number, netSeqNum: bigint, content: Buffer, from = 0, to?: number): Scripted {
  const end = to ?? content.length;
  const place = { offsetBytes: from, dataSizeBytes: content.length, last: end === content.length };
  return { frame: data(netSeqNum, { stream, ...place }), content: content.subarray(from, end) };
}

/** The record of a packet, with the numbers of `indexFacts`. */
export function record(stream: number, netSeqNum: bigint, packetBytes: number): Frame {
  const { timestampBegin, timestampEnd, ...rest } = indexFacts(netSeqNum, packetBytes);
  return index(netSeqNum, {
    stream,
    timestampBeginCycles: timestampBegin,
    timestampEndCycles: timestampEnd,
    ...rest,
  });
}

/** A whole packet: data, then index. */
export const packet = (stream: number, netSeqNum: bigint, content: Buffer): Scripted[] => [
  part(stream, netSeqNum, content),
  record(stream, netSeqNum, content.length),
];

/** See the file's head. `slabBytes`: at least as much as the content of one batch. */
export class FrameScript {
  readonly pool: SlabPool;
  readonly batches: FrameBatch[] = [];

  constructor(options: { slabBytes?: number; slabs?: number } = {}) {
    this.pool = new SlabPool({ slabBytes: options.slabBytes ?? 65_536, slabs: options.slabs ?? 64 });
  }

  /** One batch of these frames. */
  batch(...scripted: Scripted[]): this {
    const slab = this.pool.acquire(this.pool.quota(this.pool.slabs));
    if (slab === undefined) throw new Error('the script needs more slabs');
    let at = 0;
    const frames = scripted.map((each): Frame => {
      if (!('frame' in each)) return each;
      const start = at;
      at += each.content.copy(slab.bytes, at);
      return { ...each.frame, start, end: at };
    });
    this.batches.push({ slab, frames });
    return this;
  }

  /** Sends everything into a sink; resolves when it is done, or has failed. */
  into(sink: Writable): Promise<Outcome> {
    return compose([
      { name: 'script', stream: sourceOf(this.batches) },
      { name: 'sink', stream: sink },
    ]).outcome;
  }
}
