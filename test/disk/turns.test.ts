import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { Turns } from '../../lib/disk/turns.ts';

test('turns: what waits is done in order and a few at a time, and what was done earlier is not done again', async (t) => {
  const turns = new Turns();
  const done: string[] = [];
  const piece = (number: number) => ({
    announce: () => done.push(`announce ${number}`),
    enter: () => done.push(`enter ${number}`),
  });
  const pieces = Array.from({ length: 20 }, (_, number) => piece(number));
  for (const each of pieces) turns.add(each);
  turns.delete(pieces[1] as (typeof pieces)[0]);
  t.deepEqual(done, [], 'nothing in the tick in which it was asked for');
  while (done.length === 0) await turn();
  const batch = (numbers: number[]) => [
    ...numbers.map((number) => `announce ${number}`),
    ...numbers.map((number) => `enter ${number}`),
  ];
  const first = batch([0, 2, 3, 4, 5, 6, 7, 8]);
  t.deepEqual(done.slice(0, first.length), first);
  turns.add(piece(99));
  while (turns.size > 0) await turn();
  const [second, third] = [batch([9, 10, 11, 12, 13, 14, 15, 16]), batch([17, 18, 19, 99])];
  t.deepEqual(done, [...first, ...second, ...third]);
});
