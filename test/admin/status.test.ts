import test from 'ava';
import { formatStatus } from '../../lib/admin/status.ts';
import { bytesText, durationText, textTable } from '../../lib/admin/table.ts';
import { fakeStatus } from '../cli/fake-relay.ts';

const startedMs = Date.UTC(2026, 10, 20, 18, 17);

test('a page says who, where, how much and what was lost', (t) => {
  const page = formatStatus({ status: fakeStatus(), atMs: startedMs + 192_000 });
  t.is(
    page,
    [
      'millrace 0.1.0, pid 42, up 3 min 12 s',
      '  output     /traces, durability none',
      '  listening  control 127.0.0.1:1, data 127.0.0.1:1, live 127.0.0.1:1',
      '  connected  2 control, 1 data, of these 0 without session; 0 viewers',
      '  received   5 packets (-), 20.0 KiB (-), 2.9 KiB of metadata, in 1 sessions',
      '  in flight  4.0 KiB in 1 slabs',
      '  files      4 open, 0 suspended, 0 waiting for a descriptor',
      '  lost       never came: 2 packets, 8.0 KiB',
      '  refused    nothing; range locks held by others 0',
      '',
      'SESSION                                              STATE       PACKETS  RATE     BYTES  RATE  COMMITTED  HALF  LOST',
      '1 vm/s1                                              live, 2.13        5     -  20.0 KiB     -   16.0 KiB     1     2',
      '  vm/s1-20261120-181759/ust/uid/0/64-bit/channel0_0  open              3     -  12.0 KiB     -    8.0 KiB     1     0',
      '  vm/s1-20261120-181759/ust/uid/0/64-bit/channel0_1  open              3     -  12.0 KiB     -    8.0 KiB     0     2',
      '',
    ].join('\n'),
  );
});

test('rates are those between two samples, for what was there at both', (t) => {
  const earlier = fakeStatus();
  const later = fakeStatus({ totals: { ...earlier.totals, packets: 25, bytes: 20_480 + 2 * 1024 * 1024 } });
  const page = formatStatus({ status: later, atMs: 2000 }, { status: earlier, atMs: 0 });
  t.regex(page, /received {3}25 packets \(10\/s\), 2\.0 MiB \(1\.0 MiB\/s\)/);
  const young = formatStatus(
    { status: later, atMs: 2000 },
    { status: { ...earlier, sessions: [] }, atMs: 0 },
  );
  t.regex(young, /1 vm\/s1 .* 5 +- +20\.0 KiB +- /);
});

test('a name from the network cannot steer the terminal', (t) => {
  const status = fakeStatus();
  const [session] = status.sessions;
  if (session === undefined) throw new Error('the fake has a session');
  session.name = 'evil\x1b[2J';
  t.regex(formatStatus({ status, atMs: 0 }), /vm\/evil\\x1b\[2J/);
});

test('a missing range lock, a gone producer and an IPv6 address are shown', (t) => {
  const status = fakeStatus({ locks: false, refused: { MR_ERR_WIRE_SHORT: 3 } });
  const [session] = status.sessions;
  if (session === undefined) throw new Error('the fake has a session');
  Object.assign(session, { connected: false, live: false });
  status.addresses.control = { host: '::1', port: 5342 };
  const page = formatStatus({ status, atMs: 0 });
  t.regex(page, /WITHOUT range locks/);
  t.regex(page, /streaming, gone, 2\.13/);
  t.regex(page, /control \[::1\]:5342/);
  t.regex(page, /refused {4}MR_ERR_WIRE_SHORT 3/);
});

test('columns are as wide as their widest cell', (t) => {
  t.deepEqual(
    textTable(
      [
        ['A', 'B'],
        ['long', '7'],
        ['x', '100'],
      ],
      new Set([1]),
    ),
    ['A       B', 'long    7', 'x     100'],
  );
});

test('quantities are written for people', (t) => {
  t.deepEqual([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(bytesText), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '5.0 GiB',
  ]);
  t.deepEqual([0, 59_999, 60_000, 3_723_000, 90_000_000].map(durationText), [
    '0 s',
    '59 s',
    '1 min 0 s',
    '1 h 2 min',
    '1 d 1 h',
  ]);
});
