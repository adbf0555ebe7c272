import { join } from 'node:path';
import { main } from '../../cli/main.ts';
import { ScriptedRelay } from '../fakes/relays/scripted-relay.ts';
import { u32 } from '../helpers/bytes.ts';
import { TestRelay, tree } from '../helpers/relay.ts';
import { codes } from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext, temporary } from './fake-context.ts';

const plain = fixture('captures/ust-plain/oracle');
const to = ({ control, data }: Pick<TestRelay, 'control' | 'data'>) => [
  `--ctrl-url=tcp://127.0.0.1:${control.port}`,
  `--data-url=tcp://127.0.0.1:${data.port}`,
];

test('consume: a trace arrives under the names that were given, and JSON tells what was delivered', async (t) => {
  const relay = await TestRelay.start(t);
  const context = fakeContext(t, [
    'consume',
    plain,
    ...to(relay),
    '--hostname=web1',
    '-s',
    'day',
    '--live',
    '500000',
    '--json',
  ]);
  t.is(await main(context), 0, context.words('stderr'));
  const report = JSON.parse(context.words('stdout')) as Record<string, unknown>;
  t.like(report, {
    outcome: 'end',
    packets: 4,
    missing: [],
    delivered: [{ packets: 4, acknowledgedPackets: 4 }],
  });
  t.true(Object.keys(relay.tree()).every((path) => path.startsWith('web1/day-20261120-214536/')));
  t.like(relay.told.find(({ event }) => event === 'relay:session-open')?.facts, { liveTimerUs: 500000 });
});

test('consume: the source is read at the rate that was given, and a control socket steers it', async (t) => {
  const [first, second] = [await TestRelay.start(t), await TestRelay.start(t)];
  const path = join(temporary(t), 'ctl');
  const context = fakeContext(t, ['consume', plain, ...to(first), '--rate', '8k', '--control', path]);
  const startMs = performance.now();
  const ended = main(context);
  const ask = async (...words: string[]) => {
    const asking = fakeContext(t, ['ctl', path, ...words]);
    const status = await main(asking);
    return { status, answer: asking.words('stdout'), said: asking.words('stderr') };
  };
  for (let packets = 0; packets < 1; ) {
    const { status, answer } = await ask('status');
    if (status === 0) packets = (JSON.parse(answer) as { passed: { packets: number } }).passed.packets;
  }
  t.regex((await ask('set-uri', 'net://[::1')).said, /bracket/);
  t.regex((await ask('set-uri')).said, /set-uri URI/);
  t.is((await ask('disable')).status, 0);
  t.is((await ask('set-uri', ...to(second).map((word) => word.slice(word.indexOf('=') + 1)))).status, 0);
  const { answer } = await ask('enable');
  t.like(JSON.parse(answer), { state: 'streaming' });
  t.is(await ended, 0, context.words('stderr'));
  t.true(performance.now() - startMs > 600, '20 KiB at 8 KiB a second');
  await first.empty();
  await second.empty();
  const packets = [first, second].map((relay) => relay.status().totals.packets);
  t.is(
    packets.reduce((sum, each) => sum + each),
    4,
  );
  t.true(
    packets.every((each) => each > 0),
    packets.join(', '),
  );
});

test('consume: a relay that fails costs status 1, with what was delivered and why', async (t) => {
  const relay = await ScriptedRelay.start(t, { answers: { [codes.endDataPending]: u32(1) } });
  const context = fakeContext(t, ['consume', plain, ...to(relay), '--pending-timeout', '20']);
  t.is(await main(context), 1);
  t.regex(
    context.words('stderr'),
    /: 4 packets, 20\.0 KiB, in vm\/s1\n.*has had data pending for 0\.02 s without any progress/s,
  );
});

test('consume: a directory that is no trace costs status 1', async (t) => {
  const context = fakeContext(t, ['consume', temporary(t), '--to', 'net://127.0.0.1']);
  t.is(await main(context), 1);
  t.regex(context.words('stderr'), /no trace can be read there.*\n.*nothing was delivered/);
});

test('consume: a directory as the target is written as a relay would write it', async (t) => {
  const directory = join(temporary(t), 'out');
  const context = fakeContext(t, ['consume', plain, '--to', directory]);
  t.is(await main(context), 0, context.words('stderr'));
  t.deepEqual(tree(directory), tree(plain));
});

const wrong: ReadonlyArray<readonly [argv: string[], why: RegExp]> = [
  [[], /one SOURCE is needed/],
  [[plain], /a target is needed/],
  [[plain, '-C', 'tcp://h'], /a target is needed/],
  [[plain, '--to', 'net://h', '-D', 'tcp://h'], /--to names both connections/],
  [[plain, '--to', 'tcp://h'], /names one connection only/],
  [[plain, '--to', 'live://h/host/a/b'], /expected net:\/\/HOST/],
  [[plain, '-C', 'udp://h', '-D', 'udp://h:1'], /control connection is always TCP/],
  [[plain, '--to', 'net://h:99999'], /at character/],
  [[plain, '--to', 'net://h', '--live', '0'], /--live: 0 is not between/],
  [[plain, '--to', 'net://h', '--rate', 'x'], /--rate: "x" is no number of bytes/],
  [['net://h', '--to', 'net://h'], /is no source/],
];
for (const [argv, why] of wrong)
  test(`consume ${argv.join(' ').replace(plain, 'DIR')} is refused as wrong usage`, async (t) => {
    const context = fakeContext(t, ['consume', ...argv]);
    t.is(await main(context), 2, context.words('stderr'));
    t.regex(context.words('stderr'), why);
  });
