// Commands that look at a session while it runs.
import test from 'ava';
import { list } from '../../cli/commands/list.ts';
import { pipe } from '../../cli/commands/pipe.ts';
import { view } from '../../cli/commands/view.ts';
import { LiveScene } from '../helpers/live.ts';
import { until } from '../helpers/relay.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext, temporary } from './fake-context.ts';

interface Line {
  kind: string;
  stream?: number;
  netSeqNum?: number;
  sizeBytes?: number;
}

test('view --raw waits for a session, in both forms of its address, and prints its frames as they come', async (t) => {
  const scene = await LiveScene.open(t);
  const { port } = scene.live as { port: number };
  const contexts = ['live', 'net'].map((scheme) =>
    fakeContext(t, ['--raw', `${scheme}://127.0.0.1:${port}/host/vm/later`]),
  );
  const runs = contexts.map((context) => view.run(context));
  await until(
    () => scene.relay.status().viewers.length === 2,
    () => 'two viewers that wait',
  );
  const later = await LiveScene.on(t, scene.relay, { producer: { sessionName: 'later' } });
  const lines = (at: number): Line[] =>
    (contexts[at]?.words('stdout') ?? '')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  for (let sent = 1; sent <= 3; sent += 1) {
    await later.send(1);
    // each is printed while the session goes on
    for (const at of [0, 1])
      await until(
        () => lines(at).filter(({ kind }) => kind === 'index').length === sent,
        () => `${sent} packets of ${contexts[at]?.words('stdout')}${contexts[at]?.words('stderr')}`,
      );
  }
  await later.finish();
  t.deepEqual(await Promise.all(runs), [0, 0]);
  for (const at of [0, 1]) {
    const printed = lines(at);
    t.is(printed[0]?.kind, 'sessionOpen');
    t.is(printed.at(-1)?.kind, 'sessionEnd');
    t.deepEqual(
      printed.filter(({ kind }) => kind === 'data').map(({ netSeqNum, sizeBytes }) => [netSeqNum, sizeBytes]),
      later.packetsOf().map(({ length }, n) => [n, length]),
    );
  }
});

test('list shows what a real relay says: timer, viewers of each session, streams', async (t) => {
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'] });
  await scene.viewer();
  await scene.viewer();
  const context = fakeContext(t, ['--json', `live://127.0.0.1:${(scene.live as { port: number }).port}`]);
  t.is(await list.run(context), 0);
  t.like((JSON.parse(context.words('stdout')) as object[])[0], {
    hostname: 'vm',
    sessionName: 's1',
    liveTimerUs: 1_000_000,
    clients: 2,
    streams: 3,
  });
});

for (const raw of [[], ['--raw']])
  test(`view ${raw.join(' ')}: a session that was cut short is told of, and costs status 1`, async (t) => {
    const log = `capture:${temporary(t)}/cut`;
    t.is(await pipe.run(fakeContext(t, [fixture('corpus/synth-fail-truncated/trace'), log])), 1);
    const context = fakeContext(t, [...raw, log]);
    t.is(await view.run(context), 1);
    t.not(context.words('stdout'), '');
    t.is(context.words('stderr'), 'millrace view: 1 of 1 sessions were cut short\n');
  });
