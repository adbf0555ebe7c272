/** Ordinary sessions: what most users do. */
import { named, type Scene } from '../helpers/scene.ts';
import type { Scenario } from './scenario.ts';

export const sessions: readonly Scenario[] = [
  {
    name: 'a plain session',
    async script(scene) {
      await startSession(scene, 'plain');
      const events = await scene.shortProgram(1000);
      await endSession(scene, 'plain');
      return events;
    },
  },
  {
    name: 'a session of two rounds',
    async script(scene) {
      await startSession(scene, 'rounds');
      const emitter = await scene.emitter();
      const first = await emitter.emit(200);
      await scene.lttng('stop');
      await emitter.emit(50);
      await scene.lttng('start');
      const second = await emitter.emit(300);
      await endSession(scene, 'rounds');
      await emitter.finish();
      return [...first, ...second];
    },
  },
  {
    name: 'a session of two channels with sub-buffers of 4 KiB and 1 MiB',
    async script(scene) {
      await scene.lttng('create channels --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u small --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf');
      await scene.lttng(
        'enable-channel -u large --subbuf-size=1048576 --num-subbuf=4 --blocking-timeout=inf',
      );
      await scene.lttng('enable-event -u -c small millrace:tock');
      await scene.lttng('enable-event -u -c large millrace:tick');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      const events = [...(await emitter.emit(3000, 1000)), ...(await emitter.emit(3000, 300))];
      await emitter.finish();
      await endSession(scene, 'channels');
      return events;
    },
  },
  {
    name: 'a session of ring files limited in size and number',
    async script(scene) {
      await scene.lttng('create ring --set-url=net://127.0.0.1');
      await scene.lttng(
        'enable-channel -u ring --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf --tracefile-size=16384 --tracefile-count=3',
      );
      await scene.lttng('enable-event -u -c ring millrace:tick');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      // 900 bytes of text: four events fill a packet, four packets a file, so 48 events stay.
      const events = named('tick', await emitter.emit(400, 900));
      await emitter.finish();
      await endSession(scene, 'ring');
      return events.slice(-ringEvents);
    },
  },
  {
    name: 'a session of per-process buffers and short programs',
    async script(scene) {
      await scene.lttng('create processes --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u each --buffers-pid --subbuf-size=4096 --blocking-timeout=inf');
      await scene.lttng('enable-event -u -c each millrace:*');
      await scene.lttng('start');
      const events = [];
      for (const count of [1, 40, 400]) events.push(...(await scene.shortProgram(count)));
      await endSession(scene, 'processes');
      return events;
    },
  },
  {
    name: 'a pair of sessions at once, the younger ended first,',
    script: (scene) => pair(scene, ['two', 'one']),
  },
  {
    name: 'a pair of sessions at once, the older ended first,',
    beyond: 'lttng-relayd 2.13.9 looks up TRACE_CHUNK_EXISTS under the wrong session: destroy never ends',
    script: (scene) => pair(scene, ['one', 'two']),
  },
  {
    name: 'a session without a program',
    async script(scene) {
      await startSession(scene, 'empty');
      await endSession(scene, 'empty');
      return [];
    },
  },
];

/** Two sessions trace one program; they end in the order given. */
async function pair(scene: Scene, order: readonly [string, string]): Promise<string[]> {
  await startSession(scene, 'one');
  await startSession(scene, 'two');
  const emitter = await scene.emitter();
  const both = await emitter.emit(200);
  await endSession(scene, order[0]);
  const onlyLast = await emitter.emit(100);
  await emitter.finish();
  await endSession(scene, order[1]);
  return [...both, ...both, ...onlyLast];
}

const ringEvents = 48;

/** Creates and starts a session of one default channel, which has room for all that a scenario emits. */
export async function startSession(scene: Scene, name: string, world = scene.world): Promise<void> {
  await scene.lttng(`create ${name} --set-url=net://127.0.0.1`, world);
  await scene.lttng(`enable-event -u -s ${name} millrace:*`, world);
  await scene.lttng(`start ${name}`, world);
}

export async function endSession(scene: Scene, name: string, world = scene.world): Promise<void> {
  await scene.lttng(`stop ${name}`, world);
  await scene.lttng(`destroy ${name}`, world);
}
