// Real live sessions into millrace, read by real viewers while they run. What they print is held against what was emitted.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RelayStatus } from '../../lib/index.ts';
import { hasViewer, type ViewerName, viewers, Watching } from './helpers/babeltrace.ts';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import { Scene } from './helpers/scene.ts';
import { until } from './helpers/wait.ts';

const missing =
  missingPeers() ??
  (hasViewer('babeltrace 1.5')
    ? undefined
    : 'not installed: babeltrace (the 1.5 of Debian package babeltrace)');

/** Registers a test that is skipped, or fails where peers are required, when a peer is missing. */
function live(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (missing === undefined)
    test.serial(title, (t) => {
      t.timeout(120_000);
      return run(t);
    });
  else if (peersRequired()) test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, () => {});
}

/** What the relay says of itself. */
async function status(scene: Scene): Promise<RelayStatus> {
  const bin = join(projectRoot, 'dist/cli/bin.js');
  const { status: code, stdout, stderr } = await scene.world.run(process.execPath, [bin, 'status', '--json']);
  if (code !== 0) throw new Error(`millrace status: ${stderr}`);
  return JSON.parse(stdout) as RelayStatus;
}

/** Starts a live session with a period of `ms` that traces everything. */
async function startLive(scene: Scene, name: string, channel = '', ms = 200): Promise<void> {
  await scene.lttng(`create ${name} --live=${ms * 1000} --set-url=net://127.0.0.1`);
  if (channel !== '') await scene.lttng(`enable-channel -u -s ${name} c ${channel}`);
  await scene.lttng(`enable-event -u -s ${name}${channel === '' ? '' : ' -c c'} millrace:*`);
  await scene.lttng(`start ${name}`);
}

async function endLive(scene: Scene, name: string): Promise<void> {
  await scene.lttng(`stop ${name}`);
  await scene.lttng(`destroy ${name}`);
}

/** Viewers that are attached, and have been shown the streams of the session. */
async function watch(scene: Scene, names: readonly ViewerName[], session: string): Promise<Watching[]> {
  const watching = names.map((name) => Watching.start(scene.world, name, session));
  await until(
    'viewers to attach',
    async () => {
      const attached = (await status(scene)).viewers.filter(({ sessions }) =>
        sessions.some(({ name }) => name === session),
      );
      return attached.length >= names.length;
    },
    30_000,
  );
  return watching;
}

/** Everything that was emitted so far is at the relay: `lttng stop` waits for that, a pause of the machine or not. */
async function settled(scene: Scene, name: string): Promise<void> {
  await scene.lttng(`stop ${name}`);
  await scene.lttng(`start ${name}`);
}

/** Viewers that were there before the first packet have been given every one. */
async function caughtUp(scene: Scene): Promise<void> {
  await until('viewers to catch up', async () => {
    const { viewers: watching, totals } = await status(scene);
    return watching.every(({ packets }) => packets >= totals.packets);
  });
}

for (const name of Object.keys(viewers) as ViewerName[])
  live(`${name} prints exactly the events that were emitted after it attached, to the end`, async (t) => {
    const scene = await Scene.open(t, 'millrace');
    await startLive(scene, 'one');
    const emitter = await scene.emitter();
    await emitter.emit(50);
    await settled(scene, 'one');
    const [viewer] = await watch(scene, [name], 'one');
    const events = [...(await emitter.emit(300)), ...(await emitter.emit(300, 40, 100))];
    await emitter.finish();
    await endLive(scene, 'one');
    t.deepEqual(await viewer?.events(), events);
    t.deepEqual((await status(scene)).refused, {});
  });

live('four viewers on one session, two of each kind, read it side by side', async (t) => {
  const scene = await Scene.open(t, 'millrace');
  await startLive(scene, 'shared', '--subbuf-size=4096 --num-subbuf=16 --blocking-timeout=inf');
  const emitter = await scene.emitter();
  const names = ['babeltrace2', 'babeltrace 1.5'] as const;
  const first = await watch(scene, [...names, ...names], 'shared');
  const events = await emitter.emit(3000, 100);
  await emitter.finish();
  await endLive(scene, 'shared');
  for (const viewer of first) t.deepEqual(await viewer.events(), events);
});

live('a viewer that attaches before anything is traced, and programs that come and go', async (t) => {
  const scene = await Scene.open(t, 'millrace');
  await startLive(scene, 'early');
  const [viewer] = await watch(scene, ['babeltrace2'], 'early');
  const events: string[] = [];
  for (const count of [10, 200]) events.push(...(await scene.shortProgram(count)));
  await endLive(scene, 'early');
  t.deepEqual(await viewer?.events(), events);
});

live('buffers of each process: nothing of short-lived programs is missed', async (t) => {
  const scene = await Scene.open(t, 'millrace');
  await startLive(scene, 'processes', '--buffers-pid');
  const keeper = await scene.emitter();
  const [viewer] = await watch(scene, ['babeltrace2'], 'processes');
  const events = await keeper.emit(20);
  for (const count of [1, 30, 300]) events.push(...(await scene.shortProgram(count)));
  events.push(...(await keeper.emit(20)));
  await keeper.finish();
  await endLive(scene, 'processes');
  t.deepEqual((await viewer?.events())?.sort(), events.sort());
});

live('clear under viewers: whoever was attached prints everything, what was cleared included', async (t) => {
  const scene = await Scene.open(t, 'millrace');
  await startLive(scene, 'cleared');
  const emitter = await scene.emitter();
  const watching = await watch(scene, ['babeltrace2', 'babeltrace 1.5'], 'cleared');
  const events = await emitter.emit(200);
  // what is still in the rings of the traced host is cleared there, and comes to no relay
  await settled(scene, 'cleared');
  await scene.lttng('clear cleared');
  events.push(...(await emitter.emit(200)));
  await scene.lttng('stop cleared');
  await scene.lttng('clear cleared');
  await scene.lttng('start cleared');
  events.push(...(await emitter.emit(200)));
  await emitter.finish();
  await endLive(scene, 'cleared');
  for (const viewer of watching) t.deepEqual(await viewer.events(), events, viewer.name);
  t.is((await status(scene)).unreadPackets, 0);
});

live(
  'a ring of small tracefiles: viewers that keep up print everything, however often it goes round',
  async (t) => {
    const scene = await Scene.open(t, 'millrace');
    await startLive(
      scene,
      'ring',
      '--subbuf-size=4096 --num-subbuf=16 --blocking-timeout=inf --tracefile-size=65536 --tracefile-count=4',
    );
    const emitter = await scene.emitter();
    const watching = await watch(scene, ['babeltrace2', 'babeltrace2'], 'ring');
    const events: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      events.push(...(await emitter.emit(100, 500)));
      await settled(scene, 'ring');
      await caughtUp(scene);
    }
    await emitter.finish();
    await endLive(scene, 'ring');
    for (const viewer of watching) t.deepEqual(await viewer.events(), events);
  },
);
