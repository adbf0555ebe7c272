/**
 * A host that goes without a word: its end of the cable is taken away, so that nothing tells the relay, neither of the
 * viewer there nor of the producer. Keep-alive finds them, and nobody else notices.
 */
import { Watching } from './helpers/babeltrace.ts';
import { endLive, live, settled, startLive, status, watch } from './helpers/live.ts';
import { Scene } from './helpers/scene.ts';
import { until } from './helpers/wait.ts';

const keepAlive = 'LTTNG_RELAYD_TCP_KEEP_ALIVE';
/** Idle for a second, then two probes a second apart: three seconds. */
const relayEnv = {
  [keepAlive]: '1',
  [`${keepAlive}_IDLE_TIME`]: '1',
  [`${keepAlive}_PROBE_INTERVAL`]: '1',
  [`${keepAlive}_MAX_PROBE_COUNT`]: '2',
};
const relayArgs = ['-C', 'tcp://0.0.0.0:5342', '-D', 'tcp://0.0.0.0:5343', '-L', 'tcp://0.0.0.0:5344'];

live('a host that vanishes: its viewer and its session end in time, the others go on', async (t) => {
  const scene = await Scene.open(t, 'millrace', { relayArgs, relayEnv });
  const { world: far, relayAddress } = await scene.farHost('far');
  await startLive(scene, 'near');
  const emitter = await scene.emitter();
  const [near] = await watch(scene, ['babeltrace2'], 'near');
  Watching.start(far, 'babeltrace2', 'near', { address: relayAddress });
  await scene.lttng(`create gone --live=200000 --set-url=net://${relayAddress}`, far);
  await scene.lttng('enable-event -u millrace:*', far);
  await scene.lttng('start', far);
  const farEmitter = await scene.emitter(far);
  const ofFar = Watching.start(scene.world, 'babeltrace2', 'gone', { host: 'far' });
  await until('three viewers', async () => {
    const attached = (await status(scene)).viewers.filter(({ sessions }) => sessions.length > 0);
    return attached.length === 3;
  });
  const events = await emitter.emit(100);
  const farEvents = await farEmitter.emit(100);
  await settled(scene, 'near');
  await scene.lttng('stop gone', far);
  await scene.lttng('start gone', far);
  const before = await status(scene);
  t.deepEqual([before.connections.control, before.connections.data, before.connections.live], [2, 2, 3]);

  await far.vanish();
  events.push(...(await emitter.emit(100, 16, 1000)));
  await until(
    'the vanished host to be found gone',
    async () => {
      const { connections } = await status(scene);
      return connections.control === 1 && connections.data === 1;
    },
    10_000,
  );
  t.deepEqual(await ofFar.events(), farEvents, 'what had come of it is read to its end');
  await until(
    'its viewer to be found gone',
    async () => (await status(scene)).connections.live === 1,
    10_000,
  );
  const after = await status(scene);
  t.deepEqual(
    after.sessions.map(({ name }) => name),
    ['near'],
  );
  t.is(after.slabsInUse, 0);
  t.is(after.bytesInFlight, 0);

  events.push(...(await emitter.emit(100)));
  await emitter.finish();
  await endLive(scene, 'near');
  t.deepEqual(await near?.events(), events);
  await until('every file to be closed', async () => (await status(scene)).files.open === 0);
});
