import test from 'ava';
import fc from 'fast-check';
import { RangeTable, type RangeUse } from '../../lib/disk/range-table.ts';

test('ranges that do not touch, and readers of one range, hold nobody up', (t) => {
  const table = new RangeTable();
  t.truthy(table.tryTake(0, 10, 'exclusive'));
  t.truthy(table.tryTake(10, 20, 'exclusive'));
  t.truthy(table.tryTake(20, 30, 'shared'));
  t.truthy(table.tryTake(20, 30, 'shared'));
});

test('a writer waits for readers, and readers that came later wait for that writer', async (t) => {
  const table = new RangeTable();
  const order: string[] = [];
  const first = table.tryTake(0, 10, 'shared');
  const writer = table.take(5, 6, 'exclusive').then((lease) => {
    order.push('writer');
    lease.release();
  });
  const reader = table.take(0, 10, 'shared').then((lease) => {
    order.push('reader');
    lease.release();
  });
  t.false(table.isFree(5, 6, 'shared'));
  t.false(table.isFree(6, 7, 'exclusive'));
  order.push('released');
  first?.release();
  await Promise.all([writer, reader]);
  t.deepEqual(order, ['released', 'writer', 'reader']);
  t.is(table.size, 0);
});

test('L11: a range is given back by who took it, once; a second release throws', async (t) => {
  const table = new RangeTable();
  const lease = table.tryTake(0, 10, 'exclusive');
  const other = table.take(0, 10, 'exclusive');
  lease?.release();
  t.throws(() => lease?.release());
  (await other).release();
  t.is(table.size, 0);
});

test('however requests overlap, no two that exclude each other are at work at a time, and all get their turn', async (t) => {
  const request = fc.record({
    start: fc.nat({ max: 20 }),
    length: fc.integer({ min: 1, max: 10 }),
    use: fc.constantFrom<RangeUse>('shared', 'exclusive'),
    turns: fc.nat({ max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 20 }), async (requests) => {
      const table = new RangeTable();
      const atWork = new Set<(typeof requests)[number]>();
      let done = 0;
      await Promise.all(
        requests.map(async (one) => {
          const lease = await table.take(one.start, one.start + one.length, one.use);
          for (const other of atWork) {
            const overlap = other.start < one.start + one.length && one.start < other.start + other.length;
            t.false(overlap && (one.use === 'exclusive' || other.use === 'exclusive'));
          }
          atWork.add(one);
          for (let i = 0; i < one.turns; i += 1) await Promise.resolve();
          atWork.delete(one);
          lease.release();
          done += 1;
        }),
      );
      t.is(done, requests.length);
      t.is(table.size, 0);
    }),
  );
});
