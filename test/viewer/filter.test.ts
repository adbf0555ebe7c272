import test from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { conditionOf } from '../../lib/viewer/filter.ts';

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
