import { Readable, Writable } from 'node:stream';
import type { ByteBatch, FrameBatch } from '../../lib/stage/batch.ts';
import { type Slab, SlabPool } from '../../lib/stage/slab.ts';

export type Batch = ByteBatch | FrameBatch;

/** Ends of test pipes; all of them keep to the rules of ownership. */

/** `count` batches in slabs of a pool of their own, made by `make`. */
export function pooled<B extends Batch>(
  count: number,
  make: (slab: Slab, at: number) => B,
): { pool: SlabPool; batches: B[] } {
  const pool = new SlabPool({ slabBytes: 64, slabs: count });
  const quota = pool.quota(count);
  return { pool, batches: Array.from({ length: count }, (_, at) => make(pool.acquire(quota) as Slab, at)) };
}

/** The slab's 64 bytes. */
export const bytes = (slab: Slab): ByteBatch => ({ slab, start: 0, end: 64 });

/** Hands out `batches` one by one as they are asked for; ends after the last unless told to stay open. */
export function sourceOf(batches: Batch[], options: { stayOpen?: boolean } = {}): Readable {
  const left = [...batches];
  return new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      const next = left.shift();
      if (next !== undefined) this.push(next);
      else if (options.stayOpen !== true) this.push(null);
    },
    destroy(error, callback) {
      for (const batch of left.splice(0)) batch.slab?.release();
      callback(error);
    },
  });
}

/** Releases what it gets and remembers it. */
export function sinkInto(taken: Batch[]): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(batch: Batch, _encoding, callback) {
      taken.push(batch);
      batch.slab?.release();
      callback();
    },
  });
}

/** Takes one batch and is never done with it; releases it when destroyed. */
export function stalledSink(highWaterMark = 1): Writable {
  let held: Batch | undefined;
  return new Writable({
    objectMode: true,
    highWaterMark,
    write(batch: Batch) {
      held = batch;
    },
    destroy(error, callback) {
      held?.slab?.release();
      callback(error);
    },
  });
}
