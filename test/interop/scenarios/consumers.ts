/** One session that two consumer daemons stream, one for 64-bit and one for 32-bit programs: the multi-domain case. */
import type { Scene } from '../helpers/scene.ts';
import type { Scenario } from './scenario.ts';
import { endSession, startSession } from './sessions.ts';

/** Emits from a 64-bit and a 32-bit program before and after `between`. Resolves with the events of each part. */
async function bothWidths(scene: Scene, between: () => Promise<void>): Promise<[string[], string[]]> {
  await startSession(scene, 'both');
  const emitters = [await scene.emitter(), await scene.emitter32()];
  const emitAll = async () => {
    const events = [];
    for (const emitter of emitters) events.push(...(await emitter.emit(50)));
    return events;
  };
  const before = await emitAll();
  await between();
  const after = await emitAll();
  for (const emitter of emitters) await emitter.finish();
  await endSession(scene, 'both');
  return [before, after];
}

export const consumers: readonly Scenario[] = [
  {
    name: 'a session of two consumer daemons',
    consumer32: true,
    async script(scene) {
      const [before, after] = await bothWidths(scene, async () => {});
      return [...before, ...after];
    },
  },
  {
    name: 'a session of two consumer daemons, stopped and started,',
    consumer32: true,
    async script(scene) {
      const [before, after] = await bothWidths(scene, async () => {
        await scene.lttng('stop both');
        await scene.lttng('start both');
      });
      return [...before, ...after];
    },
  },
  {
    name: 'a session of two consumer daemons, rotated,',
    consumer32: true,
    timed: true,
    async script(scene) {
      const [before, after] = await bothWidths(scene, () => scene.lttng('rotate both'));
      return [...before, ...after];
    },
  },
  {
    name: 'a session of two consumer daemons, cleared,',
    consumer32: true,
    timed: true,
    async script(scene) {
      const [, after] = await bothWidths(scene, () => scene.lttng('clear both'));
      return after;
    },
  },
];
