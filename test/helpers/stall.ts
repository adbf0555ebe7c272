import { type Duplex, Readable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { compose } from '../../lib/stage/compose.ts';
import { tick } from './frames.ts';
import { type Batch, stalledSink } from './pipes.ts';

/**
 * Batches between the source and the sink of `stall` with an object stage of this mark: one in the source, one in the
 * sink, a full read queue, and a write queue that is one short, because the batch whose output filled the read queue
 * still counts there.
 */
export const inFlightOf = (highWaterMark: number): number => 1 + 1 + highWaterMark + (highWaterMark - 1);

/**
 * Puts a stage between an endless source (mark 1) and a sink (mark 1) that stalls; the number of batches that the
 * source gave away until it was held back must be exactly `inFlight`. `goOn` makes time pass.
 */
export async function stall(
  t: ExecutionContext,
  subject: { stage: Duplex; batch(at: number): Batch; inFlight: number; goOn?(): void },
): Promise<void> {
  let given = 0;
  const source = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      this.push(subject.batch(given));
      given += 1;
    },
  });
  const pipe = compose([
    { name: 'source', stream: source },
    { name: 'stage', stream: subject.stage },
    { name: 'sink', stream: stalledSink() },
  ]);
  for (let quiet = 0, before = -1; quiet < 3; quiet = given === before ? quiet + 1 : 0) {
    before = given;
    await tick();
    subject.goOn?.();
    if (given > 10 * subject.inFlight) break;
  }
  t.is(given, subject.inFlight);
  pipe.abort();
  await pipe.outcome;
}
