/** What is recorded into fixtures/captures: small sessions, each showing one thing that producers do. */
import type { Scene } from '../helpers/scene.ts';
import { endSession, startSession } from './sessions.ts';

export interface Conversation {
  /** Name of its folder. */
  name: string;
  what: string;
  /** Two consumer daemons, for 64-bit and 32-bit programs. */
  consumer32?: boolean;
  script: (scene: Scene) => Promise<void>;
}

export const conversations: readonly Conversation[] = [
  {
    name: 'two-rounds',
    what: 'a user-space session that is started and stopped twice',
    async script(scene) {
      await startSession(scene, 'rounds');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      await scene.lttng('stop');
      await scene.lttng('start');
      await emitter.emit(10);
      await emitter.finish();
      await endSession(scene, 'rounds');
    },
  },
  {
    name: 'two-channels',
    what: 'a user-space session with sub-buffers of 4 KiB and 16 KiB, full and partial packets',
    async script(scene) {
      await scene.lttng('create channels --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u small --subbuf-size=4096 --num-subbuf=4 --blocking-timeout=inf');
      await scene.lttng('enable-channel -u large --subbuf-size=16384 --num-subbuf=4 --blocking-timeout=inf');
      await scene.lttng('enable-event -u -c small millrace:tock');
      await scene.lttng('enable-event -u -c large millrace:tick');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(600, 16);
      await emitter.finish();
      await endSession(scene, 'channels');
    },
  },
  {
    name: 'per-process',
    what: 'a session with buffers of each process, and two short programs',
    async script(scene) {
      await scene.lttng('create processes --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u each --buffers-pid --subbuf-size=4096');
      await scene.lttng('enable-event -u -c each millrace:*');
      await scene.lttng('start');
      await scene.shortProgram(5);
      await scene.shortProgram(6);
      await endSession(scene, 'processes');
    },
  },
  {
    name: 'snapshot',
    what: 'a snapshot session with two snapshots, one of them named',
    async script(scene) {
      await scene.lttng('create snaps --snapshot --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel -u ring --subbuf-size=4096 --num-subbuf=4');
      await scene.lttng('enable-event -u -c ring millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      await scene.lttng('snapshot record');
      await emitter.emit(10);
      await scene.lttng('snapshot record --name=mine');
      await emitter.finish();
      await endSession(scene, 'snaps');
    },
  },
  {
    name: 'live',
    what: 'a live session with beacons, and no viewer',
    async script(scene) {
      await scene.lttng('create watched --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(5, 16, 100_000);
      await emitter.finish();
      await endSession(scene, 'watched');
    },
  },
  {
    name: 'rotation',
    what: 'a session rotated once while it runs',
    async script(scene) {
      await startSession(scene, 'rotated');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      await scene.lttng('rotate rotated');
      await emitter.emit(10);
      await emitter.finish();
      await endSession(scene, 'rotated');
    },
  },
  {
    name: 'clear',
    what: 'a session cleared once while it runs',
    async script(scene) {
      await startSession(scene, 'cleared');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      // lttng-relayd 2.13.9 loses the first packet after a clear in streams that had none before.
      await scene.lttng('stop cleared');
      await scene.lttng('start cleared');
      await emitter.emit(10);
      await scene.lttng('clear cleared');
      await emitter.emit(10);
      await emitter.finish();
      await endSession(scene, 'cleared');
    },
  },
  {
    name: 'rotated-stopped',
    what: 'a session rotated running and stopped, then started again',
    async script(scene) {
      await startSession(scene, 'turns');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      await scene.lttng('rotate turns');
      await emitter.emit(10);
      await scene.lttng('stop turns');
      await scene.lttng('rotate turns');
      await scene.lttng('start turns');
      await emitter.emit(10);
      await emitter.finish();
      await endSession(scene, 'turns');
    },
  },
  {
    name: 'metadata-anew',
    what: 'a session whose metadata is regenerated between two programs',
    async script(scene) {
      await startSession(scene, 'anew');
      await scene.shortProgram(10);
      await scene.lttng('regenerate metadata -s anew');
      await scene.shortProgram(10);
      await endSession(scene, 'anew');
    },
  },
  {
    name: 'ring-files',
    what: 'tracefiles limited in size and number, overwritten',
    async script(scene) {
      await scene.lttng('create ring --set-url=net://127.0.0.1');
      await scene.lttng(
        'enable-channel -u ring --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf --tracefile-size=8192 --tracefile-count=2',
      );
      await scene.lttng('enable-event -u -c ring millrace:tick');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(60, 900);
      await emitter.finish();
      await endSession(scene, 'ring');
    },
  },
  {
    name: 'own-path',
    what: 'a session with a path of its own in the URL',
    async script(scene) {
      await scene.lttng('create pathed --set-url=net://127.0.0.1/my/place');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      await scene.shortProgram(10);
      await endSession(scene, 'pathed');
    },
  },
  {
    name: 'no-program',
    what: 'a session in which nothing is traced',
    async script(scene) {
      await startSession(scene, 'empty');
      await endSession(scene, 'empty');
    },
  },
  {
    name: 'two-sessions',
    what: 'two sessions trace one program, the younger ended first',
    async script(scene) {
      await startSession(scene, 'one');
      await startSession(scene, 'two');
      const emitter = await scene.emitter();
      await emitter.emit(10);
      await emitter.finish();
      await endSession(scene, 'two');
      await endSession(scene, 'one');
    },
  },
  {
    name: 'viewer',
    what: 'a live session that babeltrace2 lists, then follows from before the first event to its end',
    async script(scene) {
      await scene.lttng('create seen --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      await scene.world.run('babeltrace2', ['--input-format=lttng-live', 'net://127.0.0.1']);
      const emitter = await scene.emitter();
      await emitter.emit(3, 16, 10_000);
      const url = 'net://127.0.0.1/host/traced/seen';
      const viewer = scene.world.start('babeltrace2', ['--input-format=lttng-live', url]);
      await viewer.line();
      await emitter.emit(5, 16, 100_000);
      await emitter.finish();
      await endSession(scene, 'seen');
      await viewer.ended;
    },
  },
  {
    name: 'viewer-rotation',
    what: 'a live session that is rotated and cleared while babeltrace2 follows it',
    async script(scene) {
      await scene.lttng('create turned --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-event -u millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(3, 16, 10_000);
      const url = 'net://127.0.0.1/host/traced/turned';
      const viewer = scene.world.start('babeltrace2', ['--input-format=lttng-live', url]);
      await viewer.line();
      await scene.lttng('rotate turned');
      await emitter.emit(5, 16, 100_000);
      await emitter.finish();
      await endSession(scene, 'turned');
      await viewer.ended;
    },
  },
  {
    name: 'two-consumers-rotation',
    what: 'a session streamed by a 64-bit and a 32-bit consumer daemon, rotated once',
    consumer32: true,
    async script(scene) {
      await startSession(scene, 'both');
      const emitters = [await scene.emitter(), await scene.emitter32()];
      for (const emitter of emitters) await emitter.emit(10);
      await scene.lttng('rotate both');
      for (const emitter of emitters) {
        await emitter.emit(10);
        await emitter.finish();
      }
      await endSession(scene, 'both');
    },
  },
];
