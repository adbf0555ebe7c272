import test from 'ava';
import { Arrivals } from '../../cli/view/arrivals.ts';
import { newSlots, slotBytes } from '../../cli/view/part-words.ts';

const edges = { first: undefined, firstPrefixBytes: 0, last: undefined };

test('what is said of a later part waits for its turn, and its memory is given back when it is written', async (t) => {
  const arrivals = new Arrivals();
  const memory = newSlots();
  new Uint8Array(memory).set(Buffer.from('later'), 2 * slotBytes);
  const given: number[] = [];
  const add = (word: Parameters<Arrivals['add']>[0]) =>
    arrivals.add(word, memory, (slot) => given.push(slot));
  add({ kind: 'lines', part: 1, slot: 2, bytes: 5, edges });
  add({ kind: 'end', part: 1, edges });
  const first = arrivals.next(0);
  add({ kind: 'words', part: 0, words: 'sooner' });
  add({ kind: 'end', part: 0, edges });
  t.deepEqual(await first, { kind: 'words', part: 0, words: 'sooner' } as never);
  t.is((await arrivals.next(0)).kind, 'end');
  const lines = await arrivals.next(1);
  t.is(lines.kind, 'lines');
  if (lines.kind !== 'lines') return;
  t.is(Buffer.from(lines.lines).toString(), 'later');
  t.deepEqual(given, []);
  lines.done();
  t.deepEqual(given, [2]);
});

test('a thread that dies is heard of where nothing has come yet, and what has come is not lost', async (t) => {
  const arrivals = new Arrivals();
  arrivals.add({ kind: 'end', part: 0, edges }, newSlots(), () => {});
  const second = arrivals.next(1);
  arrivals.fail();
  t.is((await second).kind, 'failed');
  t.is((await arrivals.next(0)).kind, 'end');
  t.is((await arrivals.next(2)).kind, 'failed');
});
