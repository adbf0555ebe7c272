import test from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { conditionOf } from '../../lib/viewer/filter.ts';
import { globOf } from '../../lib/viewer/glob.ts';

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

const scopes = {
  packetContext: { cpu_id: 3 },
  eventCommonContext: { vtid: 42, procname: 'web-1' },
  eventPayload: {
    size: 2n ** 60n,
    ratio: 0.5,
    state: { value: 2, labels: ['BUSY', 'LATE'] },
    inner: { deep: [10, 20] },
    vtid: 7,
  },
};

test('conditions compare numbers exactly, text, labels and what lies inside', (t) => {
  const yes = [
    'cpu_id=3',
    'size==1152921504606846976',
    'size>=0x1000000000000000',
    'size<1152921504606846977',
    'ratio<0.6',
    'ratio=0.5',
    'state=BUSY',
    'state=2',
    'state!=IDLE',
    'state ~ "L*"',
    'procname~web-?',
    'procname!~db*',
    'procname="web-1"',
    'inner.deep.1=20',
    'vtid=7',
    'streamContext.vtid=42',
  ];
  const no = [
    'cpu_id=4',
    'size>1152921504606846976',
    'state=IDLE',
    'nothing=1',
    'nothing!=1',
    'inner=1',
    'vtid>7',
  ];
  for (const text of yes) t.true(conditionOf(text)(scopes), text);
  for (const text of no) t.false(conditionOf(text)(scopes), text);
});

test('what is no condition is refused', (t) => {
  for (const text of ['', 'name', '=3', 'a b=3', `${'x'.repeat(2000)}=1`])
    t.throws(() => conditionOf(text), { instanceOf: MillraceError, code: 'MR_ERR_VIEW_FILTER' }, text);
});
