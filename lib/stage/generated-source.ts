/**
 * A source made of a generator: for sources that read files, ask peers, or wait, whose work reads best as one
 * straight line. The generator runs as far ahead as the queue allows, and is told by a signal when nobody wants
 * more, so that none of its waits outlives the pipe.
 */
import { Readable } from 'node:stream';
import type { Slab, SlabPool, SlabQuota } from './slab.ts';
import { slabOf, stageError } from './stage.ts';

/**
 * Makes a Readable of what `generate` yields. Ownership: a batch belongs to the stream once it is yielded; what the
 * generator holds otherwise it releases in its `finally`. `signal` is aborted when the stream is destroyed: every wait
 * in the generator ends with it. Errors: a MillraceError thrown passes as it is, any other becomes
 * MR_ERR_STAGE_FAILED of `name`.
 */
export function generatedSource<Out>(
  name: string,
  generate: (signal: AbortSignal) => AsyncGenerator<Out, void>,
): Readable {
  const gone = new AbortController();
  const batches = generate(gone.signal);
  let running: Promise<unknown> = Promise.resolve();

  const step = async (): Promise<void> => {
    try {
      const { value, done } = await batches.next();
      if (source.destroyed) {
        if (!done) slabOf(value)?.release();
        return;
      }
      source.push(done ? null : value);
    } catch (error) {
      source.destroy(stageError(name, error));
    }
  };

  const source = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      running = step();
    },
    destroy(error, callback) {
      gone.abort();
      running
        .then(() => batches.return())
        .then(
          () => callback(error),
          (failure: unknown) => callback(error ?? stageError(name, failure)),
        );
    },
  });
  return source;
}

/** A slab with one owner, as soon as there is one. Rejects with the signal's reason. */
export function lendSlab(pool: SlabPool, quota: SlabQuota, signal: AbortSignal): Promise<Slab> {
  signal.throwIfAborted();
  const slab = pool.acquire(quota);
  if (slab !== undefined) return Promise.resolve(slab);
  return new Promise((resolve, reject) => {
    const aborted = () => {
      withdraw();
      reject(signal.reason as Error);
    };
    const withdraw = pool.whenFree(quota, (free) => {
      signal.removeEventListener('abort', aborted);
      resolve(free);
    });
    signal.addEventListener('abort', aborted, { once: true });
  });
}
