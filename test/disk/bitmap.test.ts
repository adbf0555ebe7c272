import test from 'ava';
import fc from 'fast-check';
import { Bitmap } from '../../lib/disk/bitmap.ts';

const blocks = 70;
const range = fc
  .tuple(fc.nat({ max: blocks }), fc.nat({ max: blocks }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

test('bitmap: after any changes it says what a list of booleans says', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), range)), range, (changes, [from, to]) => {
      const bitmap = new Bitmap(blocks);
      const plain = Array.from({ length: blocks }, () => false);
      for (const [on, [start, end]] of changes) {
        if (on) bitmap.set(start, end);
        else bitmap.clear(start, end);
        plain.fill(on, start, end);
      }
      t.deepEqual(
        Array.from({ length: blocks }, (_, block) => bitmap.has(block)),
        plain,
      );
      t.is(bitmap.count, plain.filter(Boolean).length);
      const first = (wanted: boolean): number => {
        const at = plain.indexOf(wanted, from);
        return at < 0 || at > to ? to : at;
      };
      t.is(bitmap.nextSet(from, to), first(true));
      t.is(bitmap.nextClear(from, to), first(false));
    }),
  );
  t.pass();
});

test('bitmap: a range outside of it is a bug', (t) => {
  t.throws(() => new Bitmap(8).set(0, 9));
});
