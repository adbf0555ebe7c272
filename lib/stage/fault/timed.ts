/**
 * What delay and rate have in common: batches leave in order, each when it is due. A batch that waits is held here,
 * at most `batches` of them, and released when the stage is destroyed.
 */
import { Duplex } from 'node:stream';
import { type ByteBatch, type FrameBatch, releaseBatch } from '../batch.ts';

/** Time as a stage sees it; tests bring their own. */
export interface Clock {
  nowMs(): number;
  /** Calls `run` once, `ms` from now; the function returned prevents it. */
  after(ms: number, run: () => void): () => void;
}

/** The machine's monotonic clock. */
export const machineClock: Clock = {
  nowMs: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

interface Waiting {
  batch: ByteBatch | FrameBatch;
  dueMs: number;
}

/**
 * A stage that hands each batch on at `dueMs(batch, nowMs)`, asked as it comes; later batches are due later.
 * `batches`: how many may wait before the stage pushes back.
 */
export function timedStage(options: {
  batches: number;
  clock: Clock;
  dueMs: (batch: ByteBatch | FrameBatch, nowMs: number) => number;
}): Duplex {
  const { batches, clock, dueMs } = options;
  const waiting: Waiting[] = [];
  let isWanted = false;
  let cancel: (() => void) | undefined;
  let resume: (() => void) | undefined;
  let ended: (() => void) | undefined;

  const stage = new Duplex({
    objectMode: true,
    // what waits is counted by `batches`; the queues of the stage itself hold no more than one each
    highWaterMark: 1,
    write(batch: ByteBatch | FrameBatch, _encoding, callback) {
      waiting.push({ batch, dueMs: dueMs(batch, clock.nowMs()) });
      resume = callback;
      serve();
    },
    read() {
      isWanted = true;
      serve();
    },
    final(callback) {
      ended = callback;
      serve();
    },
    destroy(error, callback) {
      cancel?.();
      for (const { batch } of waiting.splice(0)) releaseBatch(batch);
      callback(error);
    },
  });
  return stage;

  function serve(): void {
    cancel?.();
    cancel = undefined;
    let first = waiting[0];
    while (isWanted && first !== undefined && first.dueMs <= clock.nowMs()) {
      waiting.shift();
      // a push may ask for the next batch before it returns
      isWanted = false;
      if (stage.push(first.batch)) isWanted = true;
      first = waiting[0];
    }
    if (isWanted && first !== undefined) cancel = clock.after(first.dueMs - clock.nowMs(), serve);
    if (waiting.length < batches && resume !== undefined) {
      const more = resume;
      resume = undefined;
      more();
    }
    if (waiting.length === 0 && ended !== undefined) {
      const done = ended;
      ended = undefined;
      stage.push(null);
      done();
    }
  }
}
