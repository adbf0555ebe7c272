import { once } from 'node:events';
import test from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import type { ByteBatch } from '../../lib/stage/batch.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { objectStage, type StageOptions } from '../../lib/stage/stage.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { bytes, pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

const one = () => {
  const { pool, batches } = pooled(1, bytes);
  return { pool, batch: batches[0] as ByteBatch };
};

test('objectStage: what is pushed reaches the next stage in the same tick, batch after batch', async (t) => {
  const seen: number[] = [];
  const double = () =>
    objectStage<number, number>('double', {
      transform(n, push) {
        push(n);
        push(n + 0.5);
      },
    });
  const first = double();
  first.pipe(double()).on('data', (n: number) => seen.push(n));
  await new Promise((resolve) => setImmediate(resolve));
  for (const n of [1, 2, 3]) {
    seen.length = 0;
    first.write(n);
    t.deepEqual(seen, [n, n + 0.5, n + 0.5, n + 1]);
  }
});

test('objectStage: flush hands on what is left before the end', async (t) => {
  const held: number[] = [];
  const stage = objectStage<number, number[]>('collect', {
    transform: (n) => void held.push(n),
    flush: (push) => push(held),
    destroyed: () => t.fail('ended, not destroyed'),
  });
  const seen: number[][] = [];
  stage.on('data', (all: number[]) => seen.push(all));
  stage.write(1);
  stage.end(2);
  await once(stage, 'close');
  t.deepEqual(seen, [[1, 2]]);
});

const failing: Record<string, [StageOptions<ByteBatch, ByteBatch>['transform'], number]> = {
  'the batch is released': [
    () => {
      throw new Error('bad');
    },
    0,
  ],
  'a batch handed on before stays with its new owner': [
    (batch, push) => {
      push(batch);
      throw new Error('bad');
    },
    1,
  ],
};
for (const [claim, [transform, inUse]] of Object.entries(failing)) {
  test(`objectStage: transform throws: ${claim}`, async (t) => {
    const { pool, batch } = one();
    let destroyed = 0;
    const stage = objectStage<ByteBatch, ByteBatch>('bad', {
      transform,
      destroyed: () => {
        destroyed += 1;
      },
    });
    stage.on('data', () => {});
    stage.write(batch);
    const [error] = (await once(stage, 'error')) as [MillraceError];
    t.is(error.code, 'MR_ERR_STAGE_FAILED');
    t.is(error.message, 'stage bad failed: bad');
    t.is(pool.inUse, inUse);
    t.is(destroyed, 1);
  });
}

test('objectStage: a MillraceError passes as it is, from transform and from flush', async (t) => {
  const error = new MillraceError('MR_ERR_STAGE_TRUNCATED', { what: 'x', got: 1, expected: 2 });
  const throws = () => {
    throw error;
  };
  const transforming = objectStage('a', { transform: throws });
  transforming.write(1);
  t.is((await once(transforming, 'error'))[0], error);
  const flushing = objectStage('b', { transform() {}, flush: throws });
  flushing.end();
  t.is((await once(flushing, 'error'))[0], error);
});

test('objectStage: what is pushed after somebody destroyed the stage is released', (t) => {
  const { pool, batch } = one();
  const stage = objectStage<ByteBatch, ByteBatch>('gone', {
    transform(taken, push) {
      stage.destroy();
      push(taken);
    },
  });
  stage.write(batch);
  t.is(pool.inUse, 0);
});

const passOn = (highWaterMark?: number) =>
  objectStage<ByteBatch, ByteBatch>('pass', {
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    transform: (batch, push) => push(batch),
  });

test('objectStage: end, error and abort are three outcomes, and slabs go home', (t) =>
  outcomes(t, { name: 'pass', stage: () => passOn(), batches: () => pooled(12, bytes) }));

for (const highWaterMark of [undefined, 1, 4]) {
  test(`objectStage: a stalled sink stops the source, mark ${highWaterMark ?? 'not given (2)'}`, (t) => {
    const batch = () => ({ slab: looseSlab(Buffer.alloc(0)), start: 0, end: 0 });
    return stall(t, { stage: passOn(highWaterMark), batch, inFlight: inFlightOf(highWaterMark ?? 2) });
  });
}
