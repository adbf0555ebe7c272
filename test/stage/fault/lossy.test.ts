import type { Duplex } from 'node:stream';
import test from 'ava';
import type { FrameBatch } from '../../../lib/stage/batch.ts';
import { compose, type Outcome } from '../../../lib/stage/compose.ts';
import { cut } from '../../../lib/stage/fault/cut.ts';
import { drop } from '../../../lib/stage/fault/drop.ts';
import type { Frame } from '../../../lib/stage/frames.ts';
import { looseSlab, type Slab } from '../../../lib/stage/slab.ts';
import { data, index } from '../../helpers/frames.ts';
import { outcomes } from '../../helpers/outcomes.ts';
import { type Batch, bytes, pooled, sinkInto, sourceOf } from '../../helpers/pipes.ts';
import { inFlightOf, stall } from '../../helpers/stall.ts';

/** Data 0, 1, 2 … and their indexes, three frames a batch. */
const framed = (count = 12) =>
  pooled(count, (slab: Slab, at): FrameBatch => {
    const frame = (i: number): Frame => (i % 2 === 0 ? data(BigInt(i / 2)) : index(BigInt((i - 1) / 2)));
    return { slab, frames: [0, 1, 2].map((i) => frame(3 * at + i)) };
  });
const plain = () => pooled(4, bytes);

async function through(stage: Duplex, batches: Batch[]): Promise<{ taken: Batch[]; outcome: Outcome }> {
  const taken: Batch[] = [];
  const { outcome } = compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: 'fault', stream: stage },
    { name: 'sink', stream: sinkInto(taken) },
  ]);
  return { taken, outcome: await outcome };
}
const sizeOf = (batch: Batch): number => ('frames' in batch ? batch.frames.length : batch.end - batch.start);
const codeOf = (outcome: Outcome) => (outcome.kind === 'error' ? outcome.error.message : outcome.kind);

for (const [afterBytes, sizes] of [
  [100, [64, 36]],
  [128, [64, 64]],
  [0, []],
] as const) {
  test(`cut: after ${afterBytes} bytes the stage fails, having passed exactly those`, async (t) => {
    const { pool, batches } = plain();
    const { taken, outcome } = await through(cut({ afterBytes }), batches);
    t.is(codeOf(outcome), `cut by the fault stage after ${afterBytes} bytes`);
    t.deepEqual(taken.map(sizeOf), sizes);
    t.is(pool.inUse, 0);
  });

  test(`cut: silently after ${afterBytes} bytes is a truncation, and ends`, async (t) => {
    const { pool, batches } = plain();
    const { taken, outcome } = await through(cut({ afterBytes, silently: true }), batches);
    t.is(outcome.kind, 'end');
    t.deepEqual(taken.map(sizeOf), sizes);
    t.is(pool.inUse, 0);
  });
}

test('cut: of frames it counts frames', async (t) => {
  const { pool, batches } = framed();
  const { taken, outcome } = await through(cut({ afterFrames: 5 }), batches);
  t.is(codeOf(outcome), 'cut by the fault stage after 5 frames');
  t.deepEqual(taken.map(sizeOf), [3, 2]);
  t.is(pool.inUse, 0);
});

test('cut: a pipe that ends before is left alone', async (t) => {
  const { pool, batches } = plain();
  const { taken, outcome } = await through(cut({ afterBytes: 257 }), batches);
  t.is(outcome.kind, 'end');
  t.is(taken.length, 4);
  t.is(pool.inUse, 0);
});

test('drop: frames that are named do not arrive; a batch of nothing else goes home', async (t) => {
  const { pool, batches } = framed(4);
  const which = (frame: Frame) => frame.kind === 'index' || (frame.kind === 'data' && frame.netSeqNum === 1n);
  const { taken, outcome } = await through(drop({ which }), batches);
  t.is(outcome.kind, 'end');
  t.deepEqual(
    taken.map((batch) =>
      (batch as FrameBatch).frames.map((frame) => (frame.kind === 'data' ? frame.netSeqNum : -1n)),
    ),
    [[0n], [2n], [3n, 4n], [5n]],
  );
  t.is(pool.inUse, 0);

  const all = framed(4);
  const nothing = await through(drop({ which: () => true }), all.batches);
  t.deepEqual(nothing.taken, []);
  t.is(all.pool.inUse, 0);
});

test('drop: chance takes its share of the data only, and the same seed the same frames', async (t) => {
  const survivors = async (seed: number) => {
    const frames = Array.from({ length: 4000 }, (_, i) => (i % 2 === 0 ? data(BigInt(i)) : index(BigInt(i))));
    const { taken } = await through(drop({ probability: 0.25, seed }), [{ slab: undefined, frames }]);
    return (taken[0] as FrameBatch).frames;
  };
  const frames = await survivors(7);
  t.is(frames.filter(({ kind }) => kind === 'index').length, 2000);
  // 2000 trials at 0.75: 1500, standard deviation 19
  const kept = frames.length - 2000;
  t.true(kept > 1400 && kept < 1600, `${kept} kept`);
  t.deepEqual(await survivors(7), frames);
  t.notDeepEqual(await survivors(8), frames);
});

const stages: Record<string, () => Duplex> = {
  cut: () => cut({ afterBytes: 1e9 }),
  drop: () => drop({ which: () => false }),
};
for (const [name, stage] of Object.entries(stages)) {
  test(`${name}: end, error and abort are three outcomes, and slabs go home`, (t) =>
    outcomes(t, { name, stage, batches: framed }));

  test(`${name}: a stalled sink stops the source`, (t) => {
    const slab = looseSlab(Buffer.alloc(0));
    return stall(t, {
      stage: stage(),
      batch: () => ({ slab: slab.retain(), frames: [] }),
      inFlight: inFlightOf(2),
    });
  });
}
