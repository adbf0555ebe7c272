/** A relay's output directory, followed by another process while real LTTng daemons stream into the relay. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import type { RelayKind } from './helpers/relay.ts';
import { Scene } from './helpers/scene.ts';
import { storedFiles } from './helpers/stored-files.ts';
import { within } from './helpers/wait.ts';

const missing = missingPeers();
const millrace = join(projectRoot, 'dist/cli/bin.js');

interface Case {
  name: string;
  script: (scene: Scene) => Promise<void>;
}

const cases: readonly Case[] = [
  {
    name: 'a session that is rotated twice',
    async script(scene) {
      await scene.lttng('create s --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      const emitter = await scene.emitter();
      for (let chunk = 0; chunk < 3; chunk += 1) {
        if (chunk > 0) await scene.lttng('rotate s');
        await emitter.emit(200, 16, 1000);
      }
      await scene.lttng('stop');
      await scene.lttng('destroy s');
      await emitter.finish();
    },
  },
  {
    name: 'buffers of each process, programs that come and go',
    async script(scene) {
      await scene.lttng('create s --set-url=net://127.0.0.1');
      await scene.lttng('enable-channel --userspace --buffers-pid --subbuf-size=4096 c');
      await scene.lttng('enable-event --userspace --channel=c millrace:*');
      await scene.lttng('start');
      for (let n = 0; n < 3; n += 1) await scene.shortProgram(150);
      await scene.lttng('stop');
      await scene.lttng('destroy s');
    },
  },
];

/** When the first chunk was made, only its name in the archives tells, and that is too late for who follows it. */
function withoutTimes(files: Map<string, string>): Map<string, string> {
  return new Map(
    [...files].map(([path, bytes]) => [path.replace(/archives\/[^/]*-(\d+)\//, 'archives/$1/'), bytes]),
  );
}

async function follow(t: ExecutionContext, kind: RelayKind, script: Case['script']): Promise<void> {
  t.timeout(120_000);
  const scene = await Scene.open(t, kind);
  const to = mkdtempSync(join(tmpdir(), 'millrace-followed-'));
  t.teardown(() => rmSync(to, { recursive: true, force: true }));
  const program = scene.world.start(process.execPath, [
    millrace,
    'pipe',
    '--follow',
    scene.relay.outputPath,
    to,
  ]);
  await script(scene);
  const end = await within('the follower to end', program.ended, 60_000);
  t.is(end.code, 0, program.errorText);
  await scene.endProducers();
  await scene.relay.stop();
  const stored = storedFiles(scene.relay.outputPath);
  t.true(stored.size > 3, [...stored.keys()].join('\n'));
  t.deepEqual(withoutTimes(storedFiles(to)), withoutTimes(stored), program.errorText);
}

for (const kind of ['millrace', 'lttng-relayd'] as const)
  for (const { name, script } of cases) {
    const title = `what ${kind} stores is followed as it is stored: ${name}`;
    if (missing === undefined) test.serial(title, (t) => follow(t, kind, script));
    else if (peersRequired()) test(title, (t) => t.fail(missing));
    else test.skip(`${title} (${missing})`, () => {});
  }
