import test from 'ava';
import fc from 'fast-check';
import { Bitmap } from '../../lib/disk/bitmap.ts';

/** Of so many blocks: changes, whether to set or clear, and a range to look in. The second has more than one group of words. */
const cases = fc.constantFrom(70, 5000).chain((blocks) => {
  // short ranges as well as long ones
  const range = fc
    .tuple(fc.nat({ max: blocks }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([from, share]) => [from, from + Math.floor((blocks - from) * share ** 4)] as const);
  return fc.tuple(fc.constant(blocks), fc.array(fc.tuple(fc.boolean(), range)), range);
});

test('bitmap: after any changes it says what a list of booleans says', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(cases, ([blocks, changes, [from, to]]) => {
        const bitmap = new Bitmap(blocks);
        const plain = Array.from({ length: blocks }, () => false);
        for (const [on, [start, end]] of changes) {
          if (on) bitmap.set(start, end);
          else bitmap.clear(start, end);
          plain.fill(on, start, end);
        }
        const first = (wanted: boolean): number => {
          const at = plain.indexOf(wanted, from);
          return at < 0 || at > to ? to : at;
        };
        return (
          plain.every((is, block) => bitmap.has(block) === is) &&
          bitmap.count === plain.filter(Boolean).length &&
          bitmap.nextSet(from, to) === first(true) &&
          bitmap.nextClear(from, to) === first(false)
        );
      }),
      { numRuns: 500 },
    ),
  );
});

test('bitmap: a range outside of it is a bug', (t) => {
  t.throws(() => new Bitmap(8).set(0, 9));
});
