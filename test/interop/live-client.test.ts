/** Real live sessions, recorded through the live client while the relay stores them, and compared byte by byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Inmate } from './helpers/inmate.ts';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import type { RelayKind } from './helpers/relay.ts';
import { Scene } from './helpers/scene.ts';
import { storedFiles } from './helpers/stored-files.ts';
import { until, within } from './helpers/wait.ts';

const kinds: readonly RelayKind[] = ['lttng-relayd', 'millrace'];
const millrace = join(projectRoot, 'dist/cli/bin.js');

/** Records a session of the scene's relay into a directory of its own. */
function record(t: ExecutionContext, scene: Scene, session: string): { to: string; program: Inmate } {
  const to = mkdtempSync(join(tmpdir(), 'millrace-record-'));
  t.teardown(() => rmSync(to, { recursive: true, force: true }));
  const source = `live://127.0.0.1/host/traced/${session}`;
  return { to, program: scene.world.start(process.execPath, [millrace, 'pipe', '--json', source, to]) };
}

interface Case {
  name: string;
  /** Trace 32-bit programs as well: the relay has two sessions of one name. */
  consumer32?: true;
  /** Calls `now` when the recording is to begin; what it returns resolves when something has been recorded. */
  script: (scene: Scene, now: () => () => Promise<unknown>) => Promise<void>;
}

const cases: readonly Case[] = [
  {
    name: 'buffers of each user, two programs one after the other',
    async script(scene, now) {
      // It waits for a session that is not there yet.
      const begun = now();
      await scene.lttng('create live1 --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      await scene.shortProgram(60);
      const second = await scene.emitter();
      await second.emit(100, 16, 2000);
      await second.finish();
      await begun();
      await scene.lttng('stop');
      await scene.lttng('destroy live1');
    },
  },
  {
    name: 'buffers of each process',
    async script(scene, now) {
      const begun = now();
      await scene.lttng('create live1 --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --buffers-pid --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      const first = await scene.emitter();
      const second = await scene.emitter();
      for (let n = 0; n < 10; n += 1) {
        await first.emit(10, 16, 5000);
        await second.emit(10, 16, 5000);
      }
      await begun();
      await scene.lttng('stop');
      await scene.lttng('destroy live1');
      await first.finish();
      await second.finish();
    },
  },
  {
    name: 'a session of two consumer daemons',
    consumer32: true,
    async script(scene, now) {
      const begun = now();
      await scene.lttng('create live1 --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      const emitters = [await scene.emitter(), await scene.emitter32()];
      for (let n = 0; n < 5; n += 1) for (const emitter of emitters) await emitter.emit(30, 16, 5000);
      await begun();
      await scene.lttng('stop');
      await scene.lttng('destroy live1');
      for (const emitter of emitters) await emitter.finish();
    },
  },
  {
    name: 'a viewer that comes when nearly everything is over',
    async script(scene, now) {
      await scene.lttng('create live1 --live=200000 --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      await emitter.emit(100, 16, 5000);
      await scene.lttng('stop');
      await now()();
      await scene.lttng('destroy live1');
      await emitter.finish();
    },
  },
];

async function recordAndCompare(
  t: ExecutionContext,
  kind: RelayKind,
  { script, consumer32 }: Case,
): Promise<void> {
  t.timeout(120_000);
  const scene = await Scene.open(t, kind, { consumer32 });
  let recording: ReturnType<typeof record> | undefined;
  await script(scene, () => {
    recording = record(t, scene, 'live1');
    const { to } = recording;
    return () =>
      until('something to be recorded', () => storedFiles(to).size > (consumer32 === true ? 9 : 3));
  });
  const { to, program } = recording as unknown as ReturnType<typeof record>;
  const end = await within('the recording to end', program.ended);
  t.is(end.code, 0, program.errorText);
  await scene.endProducers();
  await scene.relay.stop();
  const stored = storedFiles(scene.relay.outputPath);
  t.true(stored.size > 3, [...stored.keys()].join('\n'));
  t.deepEqual(storedFiles(to), stored, `${program.errorText}\n${scene.relay.errorText}`);
}

for (const kind of kinds)
  for (const one of cases) {
    const { name } = one;
    const missing = missingPeers(one);
    const title = `a live session of ${kind} is recorded as the relay stored it: ${name}`;
    if (missing === undefined) test.serial(title, (t) => recordAndCompare(t, kind, one));
    else if (peersRequired(one)) test(title, (t) => t.fail(missing));
    else test.skip(`${title} (${missing})`, () => {});
  }
