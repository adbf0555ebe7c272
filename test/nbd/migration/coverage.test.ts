import test from 'ava';
import fc from 'fast-check';
import { Coverage } from '../../../lib/nbd/migration/coverage.ts';

test('what was written is known to the byte, in whatever order it came', (t) => {
  const size = 64;
  const ranges = fc.array(fc.tuple(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 0, max: 20 })), {
    maxLength: 30,
  });
  t.notThrows(() =>
    fc.assert(
      fc.property(ranges, (list) => {
        const coverage = new Coverage();
        const plain = Array.from({ length: size }, () => false);
        for (const [offset, length] of list) {
          const lengthBytes = Math.min(length, size - offset);
          coverage.add(offset, lengthBytes);
          plain.fill(true, offset, offset + lengthBytes);
        }
        const groups = plain.filter((is, i) => is && plain[i - 1] !== true).length;
        return (
          coverage.bytes === plain.filter(Boolean).length &&
          coverage.ranges === groups &&
          coverage.covers(size) === plain.every(Boolean)
        );
      }),
      { numRuns: 500 },
    ),
  );
});

test('a disk of nothing is covered; more ranges than allowed count as not written', (t) => {
  t.true(new Coverage().covers(0));
  const coverage = new Coverage(2);
  for (const offset of [0, 20, 40]) coverage.add(offset, 5);
  t.is(coverage.bytes, 10);
  coverage.add(5, 15);
  t.is(coverage.bytes, 25);
  coverage.clear();
  t.is(coverage.bytes, 0);
});
