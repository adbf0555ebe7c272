import test from 'ava';
import { controlFormat } from '../../lib/relay/control-format.ts';
import { type RequestBatch, requestStage } from '../../lib/relay/requests.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Slab } from '../../lib/stage/slab.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { type Batch, bytes, pooled, sinkInto, sourceOf } from '../helpers/pipes.ts';
import { version } from '../helpers/requests.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

/** Two requests of 32 bytes fill a slab. */
const two = (slab: Slab) => {
  version(11).copy(slab.bytes, 0);
  version(12).copy(slab.bytes, 32);
  return bytes(slab);
};

test('requests: end, error and abort leave no slab lent out', (t) =>
  outcomes(t, {
    name: 'requests',
    stage: () => requestStage(controlFormat),
    batches: () => pooled(6, two),
  }));

test('requests: a stalled sink holds the source back', (t) =>
  stall(t, {
    stage: requestStage(controlFormat),
    batch: () => pooled(1, two).batches[0] as Batch,
    inFlight: inFlightOf(2),
  }));

test('requests: what came before bytes that are wrong still passes, and the slab is given back once', async (t) => {
  const { pool, batches } = pooled(1, (slab) => {
    version(11).copy(slab.bytes, 0);
    slab.bytes.fill(0xff, 32);
    return bytes(slab);
  });
  const taken: Batch[] = [];
  const pipe = compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: 'requests', stream: requestStage(controlFormat) },
    { name: 'sink', stream: sinkInto(taken) },
  ]);
  t.like(await pipe.outcome, { kind: 'error', stage: 'requests' });
  const [batch] = taken as unknown as RequestBatch<{ bodyBytes: number; collectBytes: number }>[];
  t.is(batch?.requests.length, 1);
  t.is(pool.inUse, 0);
});
