/** When programs, consumers and relays die, and when several hosts share a relay. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Emitter, named, type Scene } from '../helpers/scene.ts';
import { until } from '../helpers/wait.ts';
import type { Scenario } from './scenario.ts';
import { endSession, startSession } from './sessions.ts';

export const faults: readonly Scenario[] = [
  {
    name: 'a traced program that is killed',
    async script(scene) {
      await startSession(scene, 'killed');
      const emitter = await scene.emitter();
      const events = await emitter.emit(500);
      await emitter.kill();
      await endSession(scene, 'killed');
      return events;
    },
  },
  {
    name: 'a consumer daemon that is killed between packets',
    async script(scene) {
      const { emitter, events: before } = await smallPackets(scene, 'orphaned');
      // The fifth event of four to a packet ends that packet: the last four never leave the producer.
      const after = named('tick', await emitter.emit(100, 900)).slice(0, -eventsPerPacket);
      await until('all full packets', () => indexRecords(scene.relay.outputPath) === 1 + 24);
      for (const pid of scene.world.pidsOf('lttng-consumerd')) process.kill(pid, 'SIGKILL');
      await emitter.kill();
      return [...before, ...after];
    },
  },
  {
    name: 'a relay that is killed while packets come in',
    beyond: 'lttng-relayd may leave the torn tail of a packet, and babeltrace2 then reads nothing',
    async script(scene) {
      const { emitter, events: before } = await smallPackets(scene, 'torn');
      const after = named('tick', emitter.begin(20_000, 900));
      const seen = await until('packets', () => atLeast(100, indexRecords(scene.relay.outputPath)));
      await scene.relay.stop('SIGKILL');
      await scene.relay.startAgain();
      const kept = indexRecords(scene.relay.outputPath);
      if (kept < seen) throw new Error(`${seen} packets were stored, ${kept} are left`);
      await emitter.kill(); // it waits for room in buffers that nobody empties any more
      return [...before, ...after.slice(0, (kept - 1) * eventsPerPacket)];
    },
  },
  {
    name: 'a relay that is stopped and started under a session',
    async script(scene) {
      await startSession(scene, 'cut');
      const emitter = await scene.emitter();
      const events = await emitter.emit(50);
      await scene.lttng('stop');
      scene.answers.push(await scene.relay.stop());
      await scene.relay.startAgain();
      await scene.lttng('start');
      await emitter.emit(50);
      await endSession(scene, 'cut');
      await startSession(scene, 'new');
      events.push(...(await emitter.emit(50)));
      await emitter.finish();
      await endSession(scene, 'new');
      return events;
    },
  },
  {
    name: 'a relay that is killed and started under a session',
    async script(scene) {
      await startSession(scene, 'cut');
      const emitter = await scene.emitter();
      const events = await emitter.emit(50);
      await scene.lttng('stop');
      scene.answers.push(await scene.relay.stop('SIGKILL'));
      await scene.relay.startAgain();
      await endSession(scene, 'cut');
      await emitter.finish();
      return events;
    },
  },
  {
    name: 'a relay that is started again between sessions',
    async script(scene) {
      await startSession(scene, 'before');
      const first = await scene.shortProgram(50);
      await endSession(scene, 'before');
      scene.answers.push(await scene.relay.stop());
      await scene.relay.startAgain();
      await startSession(scene, 'after');
      const second = await scene.shortProgram(50);
      await endSession(scene, 'after');
      return [...first, ...second];
    },
  },
  {
    name: 'a pair of hosts with a session of the same name',
    async script(scene) {
      const other = await scene.secondHost('elsewhere');
      await startSession(scene, 'shared');
      await startSession(scene, 'shared', other);
      const here = await scene.shortProgram(50);
      const there = await scene.shortProgram(70, other);
      await endSession(scene, 'shared', other);
      await endSession(scene, 'shared');
      return [...here, ...there];
    },
  },
];

const eventsPerPacket = 4;

/**
 * Starts a session whose packets are 4 KiB and hold four ticks of 900 bytes of text each; the first packet is
 * another one, which came with the metadata when the session was stopped once.
 */
async function smallPackets(scene: Scene, name: string): Promise<{ emitter: Emitter; events: string[] }> {
  await scene.lttng(`create ${name} --set-url=net://127.0.0.1`);
  await scene.lttng('enable-channel -u small --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf');
  await scene.lttng('enable-event -u -c small millrace:tick');
  await scene.lttng('start');
  const emitter = await scene.emitter();
  const events = named('tick', await emitter.emit(10));
  await scene.lttng('stop');
  await scene.lttng('start');
  return { emitter, events };
}

/** Records in the index file of that session's first processor; 0 when there is none. */
function indexRecords(outputPath: string): number {
  const path = readdirSync(outputPath, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith('/small_0.idx'),
  );
  return path === undefined ? 0 : Math.floor((statSync(join(outputPath, path)).size - 16) / 72);
}

function atLeast(floor: number, value: number): number | undefined {
  return value >= floor ? value : undefined;
}
