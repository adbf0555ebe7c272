/**
 * The end of a pipe of frames that is a frame log: a capture in a file, or frames on standard output. What waits goes
 * out together; a batch's slab goes home when its bytes have left.
 */
import { Writable } from 'node:stream';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import { encodeFrame } from './frame-codec.ts';
import type { LogEntry, LogWriter } from './log-writer.ts';

/** See the file's head. Fails with what its log fails with, and MR_ERR_WIRE_* for a frame that no record can hold. */
class CaptureSink extends Writable {
  readonly #log: LogWriter;

  constructor(log: LogWriter) {
    super({ objectMode: true, highWaterMark: 2 });
    this.#log = log;
    log.on('error', (error) => this.destroy(error));
  }

  override _write(batch: FrameBatch, _: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#put([batch], callback);
  }

  override _writev(writes: { chunk: FrameBatch }[], callback: (error?: Error | null) => void): void {
    this.#put(
      writes.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#log.end((error?: Error | null) => callback(error));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#log.destroy();
    callback(error);
  }

  #put(batches: FrameBatch[], callback: (error?: Error | null) => void): void {
    const done = (error?: Error | null): void => {
      for (const batch of batches) releaseBatch(batch);
      // first destroyed: a write that fails drops the queue before `compose` has emptied it
      if (error) this.destroy(error);
      callback(error);
    };
    let entries: LogEntry[];
    try {
      entries = batches.flatMap(({ frames, slab }) => frames.map((frame) => encodeFrame(frame, slab?.bytes)));
    } catch (error) {
      done(error as Error);
      return;
    }
    const last = entries.pop();
    if (last === undefined) {
      done();
      return;
    }
    // together, so that they leave in few writes
    this.#log.cork();
    for (const entry of entries) this.#log.write(entry);
    this.#log.write(last, done);
    this.#log.uncork();
  }
}

/** A Writable of FrameBatch into `log` (see `createLogFile`, `createLogStream`), which it ends. */
export function captureSink(log: LogWriter): Writable {
  return new CaptureSink(log);
}
