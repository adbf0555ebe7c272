// Real live sessions into millrace, read by real viewers while they run. What they print is held against what was emitted.
import { type ViewerName, viewers } from './helpers/babeltrace.ts';
import { caughtUp, endLive, live, settled, startLive, status, watch } from './helpers/live.ts';
import { Scene } from './helpers/scene.ts';

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
    // viewers first: each is to be given every packet
    const watching = await watch(scene, ['babeltrace2', 'babeltrace2'], 'ring');
    const emitter = await scene.emitter();
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
