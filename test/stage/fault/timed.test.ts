import type { Duplex } from 'node:stream';
import test from 'ava';
import { compose } from '../../../lib/stage/compose.ts';
import { delay } from '../../../lib/stage/fault/delay.ts';
import { rate } from '../../../lib/stage/fault/rate.ts';
import { machineClock } from '../../../lib/stage/fault/timed.ts';
import { looseSlab, type Slab } from '../../../lib/stage/slab.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { data, index, metadata, tick } from '../../helpers/frames.ts';
import { outcomes } from '../../helpers/outcomes.ts';
import { type Batch, bytes, pooled, sinkInto, sourceOf } from '../../helpers/pipes.ts';
import { stall } from '../../helpers/stall.ts';

const many = () => pooled(12, bytes);
const ofBytes = (count: number): Batch => ({ slab: looseSlab(Buffer.alloc(0)), start: 0, end: count });

/** Notes after each millisecond how many batches have arrived. */
async function arrivals(stage: Duplex, clock: FakeClock, batches: Batch[], ms: number): Promise<number[]> {
  const taken: Batch[] = [];
  const pipe = compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: 'stage', stream: stage },
    { name: 'sink', stream: sinkInto(taken) },
  ]);
  const seen: number[] = [];
  for (let i = 0; i <= ms; i += 1) {
    // batches move up to the stage between two milliseconds
    for (let turns = 0; turns < batches.length + 2; turns += 1) await tick();
    seen.push(taken.length);
    clock.advance(1);
  }
  pipe.abort();
  await pipe.outcome;
  return seen;
}

test('delay: all that came at once arrives at once, and late by exactly the delay', async (t) => {
  const clock = new FakeClock();
  const stage = delay({ delayMs: 3, clock });
  t.deepEqual(await arrivals(stage, clock, many().batches, 4), [0, 0, 0, 12, 12]);
});

test('delay: no more than the batches allowed are under way', async (t) => {
  const clock = new FakeClock();
  const stage = delay({ delayMs: 2, batches: 2, clock });
  t.deepEqual(await arrivals(stage, clock, many().batches, 6), [0, 0, 2, 2, 4, 4, 6]);
});

test('rate: the account is exact however the bytes are cut, and idle time is not saved up', async (t) => {
  const clock = new FakeClock();
  // 3 bytes a millisecond; 10 batches of 1 byte pass 3, 6, 9 and 10
  const stage = rate({ bytesPerSecond: 3000, batches: 16, clock });
  t.deepEqual(
    await arrivals(
      stage,
      clock,
      Array.from({ length: 10 }, () => ofBytes(1)),
      5,
    ),
    [0, 3, 6, 9, 10, 10],
  );

  const idle = rate({ bytesPerSecond: 1000, clock });
  clock.advance(1000);
  t.deepEqual(await arrivals(idle, clock, [ofBytes(2), ofBytes(1)], 3), [0, 0, 1, 2]);
});

test('rate: a third of a millisecond a byte adds up without rounding', async (t) => {
  const clock = new FakeClock();
  const stage = rate({ bytesPerSecond: 3000, batches: 90, clock });
  const seen = await arrivals(
    stage,
    clock,
    Array.from({ length: 90 }, () => ofBytes(1)),
    30,
  );
  t.deepEqual(
    seen,
    Array.from({ length: 31 }, (_, ms) => 3 * ms),
  );
});

test('rate: of frames the bytes of data and metadata count', async (t) => {
  const clock = new FakeClock();
  const frames = [data(0n, { end: 2 }), index(0n), metadata({ start: 1, end: 2 })];
  const stage = rate({ bytesPerSecond: 1000, clock });
  t.deepEqual(await arrivals(stage, clock, [{ slab: undefined, frames }], 4), [0, 0, 0, 1, 1]);
});

test('timed stages: the machine clock runs', async (t) => {
  const { pool, batches } = many();
  const startMs = machineClock.nowMs();
  const { outcome } = compose([
    { name: 'source', stream: sourceOf(batches) },
    { name: 'delay', stream: delay({ delayMs: 20 }) },
    { name: 'rate', stream: rate({ bytesPerSecond: (1000 * 12 * 64) / 20 }) },
    { name: 'sink', stream: sinkInto([]) },
  ]);
  t.deepEqual(await outcome, { kind: 'end' });
  t.true(machineClock.nowMs() - startMs >= 40);
  t.is(pool.inUse, 0);
});

const stages: Record<string, (clock: FakeClock) => Duplex> = {
  delay: (clock) => delay({ delayMs: 5, batches: 4, clock }),
  rate: (clock) => rate({ bytesPerSecond: 6400, batches: 4, clock }),
};
for (const [name, make] of Object.entries(stages)) {
  test(`${name}: end, error and abort are three outcomes, and slabs go home`, async (t) => {
    const clock = new FakeClock();
    const goOn = () => clock.advance(20);
    await outcomes(t, { name, stage: () => make(clock), batches: many, goOn });
    t.is(clock.pending, 0, 'timers left behind');
  });

  test(`${name}: before its time comes only what may wait is taken in`, async (t) => {
    // 4 wait, the source has 1
    await stall(t, { stage: make(new FakeClock()), batch: () => ofBytes(64), inFlight: 5 });
  });

  test(`${name}: a stalled sink stops the source`, async (t) => {
    const clock = new FakeClock();
    // 4 wait, the source has 1, the sink 1, the read queue of the stage 1
    const goOn = () => clock.advance(20);
    await stall(t, { stage: make(clock), batch: () => ofBytes(64), inFlight: 7, goOn });
  });
}

test('delay: a batch keeps its slab until it is handed on', async (t) => {
  const { pool, batches } = pooled(1, (slab: Slab) => ({ slab, frames: [data(0n)] }));
  const clock = new FakeClock();
  await arrivals(delay({ delayMs: 2, clock }), clock, batches, 1);
  t.is(pool.inUse, 0);
});
