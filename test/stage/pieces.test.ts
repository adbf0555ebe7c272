import test from 'ava';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { pieces } from '../../lib/stage/pieces.ts';
import { data, index, streamEnd } from '../helpers/frames.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

const three = (slab: FrameBatch['slab']): FrameBatch => ({
  slab,
  frames: [data(0n), index(0n), data(1n), index(1n), data(2n, { end: 64 }), index(2n)],
});

test('batches are cut between frames, where the next would be too much', async (t) => {
  const { pool, batches } = pooled(1, three);
  const stage = pieces(16);
  stage.end(batches[0]);
  const got = (await stage.toArray()) as FrameBatch[];
  t.deepEqual(
    got.map(({ frames }) => frames.length),
    [4, 2],
  );
  for (const { slab } of got) slab?.release();
  t.is(pool.inUse, 0);
});

test('what needs no cut passes as it is', async (t) => {
  const batch = { slab: undefined, frames: [streamEnd(1n)] };
  const stage = pieces(1);
  stage.end(batch);
  t.is((await stage.toArray())[0], batch);
});

test('end, error and abort are told apart, and every slab goes home', async (t) => {
  await outcomes(t, { name: 'pieces', stage: () => pieces(8), batches: () => pooled(12, three) });
});

test('a stalled sink holds back the source', async (t) => {
  const batch = () => ({ slab: undefined, frames: [streamEnd(1n)] });
  await stall(t, { stage: pieces(8), batch, inFlight: inFlightOf(2) });
});
