import test from 'ava';
import { SlabPool } from '../../lib/stage/slab.ts';

test('a quota that leaves some to others cannot take the last ones, however much it may hold', (t) => {
  const pool = new SlabPool({ slabBytes: 8, slabs: 8 });
  const packets = pool.quota(8, 2);
  const held = Array.from({ length: 8 }, () => pool.acquire(packets));
  t.is(held.filter((slab) => slab !== undefined).length, 6);
  const requests = pool.quota(8);
  const first = pool.acquire(requests);
  t.truthy(first);
  t.truthy(pool.acquire(requests));
  t.is(pool.acquire(requests), undefined);
  first?.release();
  t.is(pool.acquire(packets), undefined);
  held[0]?.release();
  held[1]?.release();
  t.truthy(pool.acquire(packets));
});

test('it leaves a quarter of the pool at the most', (t) => {
  const pool = new SlabPool({ slabBytes: 8, slabs: 4 });
  const quota = pool.quota(4, 100);
  t.is(Array.from({ length: 4 }, () => pool.acquire(quota)).filter((slab) => slab !== undefined).length, 3);
  const single = new SlabPool({ slabBytes: 8, slabs: 1 });
  t.truthy(single.acquire(single.quota(1, 100)), 'of a single one nothing');
});
