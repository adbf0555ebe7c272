import test from 'ava';
import { globOf } from '../../lib/stage/glob.ts';

test('patterns match as those of shells do, all of the text', (t) => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['work:*', 'work:begin', true],
    ['work:*', 'rework:begin', false],
    ['*:b*n', 'work:begin', true],
    ['*:b*n', 'work:beginning', false],
    ['*:b*n', 'work:begun', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['cpu[0-3]', 'cpu2', true],
    ['cpu[!0-3]', 'cpu2', false],
    ['a.c', 'abc', false],
    ['[', '[', true],
    ['**', 'x', true],
    ['', 'x', false],
  ];
  for (const [pattern, text, expected] of cases)
    t.is(globOf(pattern)(text), expected, `${pattern} on ${text}`);
});

test('patterns take time by the product of the lengths at the most', (t) => {
  const began = performance.now();
  t.false(globOf('*a'.repeat(200))(`${'a'.repeat(5000)}b`));
  t.true(performance.now() - began < 2000);
});
