/**
 * Regenerates fixtures/captures: records conversations of real producers with lttng-relayd, and keeps beside each
 * the tree that lttng-relayd made of it. Run by `npm run fixtures`, as root, with lttng-tools installed.
 * `node dist/test/interop/record.js NAME...` records only these.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import { missingPeers, projectRoot } from './helpers/peers.ts';
import { Scene } from './helpers/scene.ts';
import { type Conversation, conversations } from './scenarios/conversations.ts';

async function record({ name, what, script, consumer32 }: Conversation): Promise<void> {
  const folder = join(projectRoot, 'fixtures/captures', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const cleanups: (() => unknown)[] = [];
  try {
    const cleaning = { teardown: (clean: () => unknown) => void cleanups.push(clean) };
    const recordingPath = join(folder, 'conversation.mrlog');
    const scene = await Scene.open(cleaning, 'lttng-relayd', { recordingPath, consumer32 });
    await script(scene);
    await scene.endProducers();
    await scene.relay.stop();
    fse.copySync(scene.relay.outputPath, join(folder, 'oracle'));
    const version = async (program: string) => (await scene.world.run(program, ['--version'])).stdout.trim();
    const provenance = {
      what,
      producer: await version('lttng'),
      relay: await version('lttng-relayd'),
      recorded: new Date().toISOString(),
      command: `node dist/test/interop/record.js ${name}`,
      machine: process.arch,
      processors: availableParallelism(),
      lttng: scene.commands,
      timeZone: 'UTC',
      sha256: createHash('sha256').update(readFileSync(recordingPath)).digest('hex'),
    };
    writeFileSync(join(folder, 'provenance.json'), `${JSON.stringify(provenance, undefined, 2)}\n`);
  } finally {
    for (const clean of cleanups.reverse()) await clean();
  }
}

const missing = missingPeers({ consumer32: true });
if (missing !== undefined) throw new Error(missing);
const wanted = process.argv.slice(2);
for (const conversation of conversations)
  if (wanted.length === 0 || wanted.includes(conversation.name)) await record(conversation);
