/** Where things lie: grouping, paths from URLs, names, chunks of rotations and snapshots. */
import { named, type Scene } from '../helpers/scene.ts';
import type { Scenario } from './scenario.ts';
import { endSession, startSession } from './sessions.ts';

/** Traces one small program in a session that was created with these words. */
async function small(scene: Scene, create: string): Promise<string[]> {
  await scene.lttng(create);
  await scene.lttng('enable-event -u millrace:*');
  await scene.lttng('start');
  const events = await scene.shortProgram(20);
  await scene.lttng('stop');
  await scene.lttng('destroy');
  return events;
}

export const layouts: readonly Scenario[] = [
  {
    name: 'output grouped by session',
    relayArgs: ['--group-output-by-session'],
    async script(scene) {
      const first = await small(scene, 'create grouped --set-url=net://127.0.0.1');
      return [...first, ...(await small(scene, 'create pathed --set-url=net://127.0.0.1/my/place'))];
    },
  },
  {
    name: 'a path of its own in the URL',
    script: (scene) => small(scene, 'create pathed --set-url=net://127.0.0.1/my/place'),
  },
  {
    name: 'a session named by lttng itself',
    script: (scene) => small(scene, 'create --set-url=net://127.0.0.1'),
  },
  {
    name: 'a pair of snapshots, one of them named,',
    async script(scene) {
      await scene.lttng('create snaps --snapshot --set-url=net://127.0.0.1');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      const first = await emitter.emit(100);
      await scene.lttng('snapshot record');
      const second = await emitter.emit(100);
      await scene.lttng('snapshot record --name=mine');
      await emitter.finish();
      await endSession(scene, 'snaps');
      return [...first, ...first, ...second];
    },
  },
  {
    name: 'a session rotated twice, running and stopped,',
    async script(scene) {
      await startSession(scene, 'rotated');
      const emitter = await scene.emitter();
      const events = await emitter.emit(100);
      await scene.lttng('rotate rotated');
      events.push(...(await emitter.emit(100)));
      await scene.lttng('stop rotated');
      await scene.lttng('rotate rotated');
      await scene.lttng('start rotated');
      events.push(...(await emitter.emit(100)));
      await emitter.finish();
      await endSession(scene, 'rotated');
      return events;
    },
  },
  {
    name: 'a session rotated while packets stream in',
    timed: true,
    async script(scene) {
      await scene.lttng('create flowing --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u small --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf');
      await scene.lttng('enable-event -u -c small millrace:tick');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      const emitting = emitter.emit(600, 400, 2000);
      for (let rotation = 0; rotation < 2; rotation += 1) await scene.lttng('rotate flowing');
      const events = named('tick', await emitting);
      await emitter.finish();
      await endSession(scene, 'flowing');
      return events;
    },
  },
  {
    name: 'a session whose metadata is regenerated',
    async script(scene) {
      await startSession(scene, 'anew');
      const first = await scene.shortProgram(50);
      await scene.lttng('regenerate metadata -s anew');
      const second = await scene.shortProgram(50);
      await endSession(scene, 'anew');
      return [...first, ...second];
    },
  },
  {
    name: 'a session cleared while it runs',
    timed: true, // the producer may or may not open a packet in each stream before the first event
    async script(scene) {
      await startSession(scene, 'cleared');
      const emitter = await scene.emitter();
      await emitter.emit(100);
      await scene.lttng('clear cleared');
      const events = await emitter.emit(100);
      await emitter.finish();
      await endSession(scene, 'cleared');
      return events;
    },
  },
  {
    name: 'a relay that disallows clear',
    relayArgs: ['--disallow-clear'],
    async script(scene) {
      await startSession(scene, 'kept');
      const events = await scene.shortProgram(20);
      await scene.lttng('clear kept');
      await endSession(scene, 'kept');
      return events;
    },
  },
  {
    name: 'a live session that nobody watches',
    timed: true,
    async script(scene) {
      await scene.lttng('create watched --live=100000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      const events = await emitter.emit(100, 16, 5000);
      await emitter.finish();
      await endSession(scene, 'watched');
      return events;
    },
  },
];
