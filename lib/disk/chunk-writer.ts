/**
 * The end of a data connection: writes batches of data frames. What lies in one batch for one stream goes out
 * in one write; the slab is released when the last of them is through, and that is the backpressure. A batch for
 * which there is no room on the disk waits, and with it the producer.
 */
import { Writable } from 'node:stream';
import type { MillraceError } from '../errors.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import { padding } from './append-file.ts';
import { StreamWriter } from './stream-writer.ts';
import type { TraceStore } from './trace-store.ts';

/**
 * A Writable of FrameBatch whose frames are data frames of streams that `store` knows; frames of streams that
 * are gone are dropped. Takes ownership of each batch. Fails with the error of the first stream that could not
 * be written: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE, MR_ERR_DISK_CREATE, MR_ERR_RELAY_INDEX.
 */
export function chunkWriter(store: TraceStore): Writable {
  const { space } = store.context;
  let withdraw: (() => void) | undefined;
  return new Writable({
    objectMode: true,
    highWaterMark: 2,
    write(batch: FrameBatch, _encoding, callback) {
      const bytes = bytesOf(batch);
      if (space.take(bytes)) {
        writeBatch(store, batch, callback);
        return;
      }
      const giveUp = space.wait(bytes, () => {
        withdraw = undefined;
        writeBatch(store, batch, callback);
      });
      withdraw = () => {
        giveUp();
        releaseBatch(batch);
      };
    },
    destroy(error, callback) {
      withdraw?.();
      callback(error);
    },
  });
}

/** What the batch will take on the disk. */
function bytesOf({ frames }: FrameBatch): number {
  let bytes = 0;
  for (const frame of frames) {
    if (frame.kind !== 'data') continue;
    bytes += frame.end - frame.start;
    if (frame.last && padding(frame.paddingSizeBytes).holeBytes === 0) bytes += frame.paddingSizeBytes;
  }
  return bytes;
}

function writeBatch(store: TraceStore, batch: FrameBatch, callback: (error: Error | null) => void): void {
  const touched = new Set<StreamWriter>();
  let outstanding = 1;
  let failed: MillraceError | undefined;
  const done = (error?: MillraceError) => {
    failed ??= error;
    outstanding -= 1;
    if (outstanding > 0) return;
    releaseBatch(batch);
    store.flush();
    callback(failed ?? null);
  };
  const flush = (writer: StreamWriter) => {
    outstanding += 1;
    writer.flush(done);
  };
  for (const frame of batch.frames) {
    if (frame.kind !== 'data') continue;
    const writer = store.stream(frame.stream);
    if (!(writer instanceof StreamWriter)) continue;
    try {
      writer.stage(frame, (batch.slab as NonNullable<typeof batch.slab>).bytes);
    } catch (error) {
      writer.fail(error as MillraceError);
      failed ??= error as MillraceError;
      break;
    }
    touched.add(writer);
    if (writer.full) flush(writer);
  }
  for (const writer of touched) flush(writer);
  done();
}
