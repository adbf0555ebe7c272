import test from 'ava';
import { compose } from '../../lib/stage/compose.ts';
import { gate } from '../../lib/stage/gate.ts';
import { tick } from '../helpers/frames.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { type Batch, bytes, pooled, sinkInto, sourceOf } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

test('gate: shut, what is behind it ends in good order, and nothing is left lent out', async (t) => {
  const { pool, batches } = pooled(3, bytes);
  const taken: Batch[] = [];
  const end = gate();
  const pipe = compose([
    { name: 'source', stream: sourceOf(batches, { stayOpen: true }) },
    { name: 'gate', stream: end.stage },
    { name: 'sink', stream: sinkInto(taken) },
  ]);
  await tick();
  t.is(taken.length, 3);
  end.shut();
  end.shut();
  t.deepEqual(await pipe.outcome, { kind: 'end' });
  t.is(pool.inUse, 0);
});

test('gate: end, error and abort leave no slab lent out', (t) =>
  outcomes(t, { name: 'gate', stage: () => gate().stage, batches: () => pooled(6, bytes) }));

test('gate: a stalled sink holds the source back', (t) =>
  stall(t, {
    stage: gate().stage,
    batch: () => ({ slab: undefined, frames: [] }),
    inFlight: inFlightOf(2),
  }));
