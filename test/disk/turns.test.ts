import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { Turns } from '../../lib/disk/turns.ts';

test('turns: what waits is done in order and a few at a time, and what was done earlier is not done again', async (t) => {
  const turns = new Turns();
  const done: number[] = [];
  const pieces = Array.from({ length: 20 }, (_, number) => ({ enter: () => done.push(number) }));
  for (const piece of pieces) turns.add(piece);
  turns.delete(pieces[1] as (typeof pieces)[0]);
  t.deepEqual(done, [], 'nothing in the tick in which it was asked for');
  await turn();
  t.deepEqual(done, [0, 2, 3, 4, 5, 6, 7, 8]);
  turns.add({ enter: () => done.push(99) });
  while (turns.size > 0) await turn();
  t.deepEqual(done, [0, ...Array.from({ length: 18 }, (_, n) => n + 2), 99]);
});
