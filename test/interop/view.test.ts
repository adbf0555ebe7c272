/** Real sessions, viewed while they are traced: what is printed is what babeltrace2 prints of the stored trace. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import type { RelayKind } from './helpers/relay.ts';
import { Scene } from './helpers/scene.ts';
import { within } from './helpers/wait.ts';

const kinds: readonly RelayKind[] = ['lttng-relayd', 'millrace'];
const missing = missingPeers();
const millrace = join(projectRoot, 'dist/cli/bin.js');

interface Way {
  name: string;
  /** Of `lttng create`. */
  create: string;
  /** Of `lttng enable-channel`. */
  channel: string;
  source: (scene: Scene) => readonly string[];
}

const ways: readonly Way[] = [
  {
    name: 'live',
    create: '--live=200000',
    channel: '',
    source: () => ['live://127.0.0.1/host/traced/seen'],
  },
  {
    name: 'live, buffers of each process',
    create: '--live=200000',
    channel: '--buffers-pid',
    source: () => ['live://127.0.0.1/host/traced/seen'],
  },
  {
    name: 'as its directory grows',
    create: '',
    channel: '',
    source: ({ relay }) => ['--follow', relay.outputPath],
  },
];

/** What babeltrace2 prints of a directory. */
function babeltrace2(directory: string): string[] {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
  return execFileSync('babeltrace2', ['--clock-gmt', directory], options).split('\n').slice(0, -1);
}

async function viewAndCompare(t: ExecutionContext, kind: RelayKind, way: Way): Promise<void> {
  t.timeout(120_000);
  const scene = await Scene.open(t, kind);
  const view = () =>
    scene.world.start(process.execPath, [millrace, 'view', '--clock-gmt', ...way.source(scene)]);
  const isLive = way.create !== '';
  const followed = isLive ? undefined : view();
  await scene.lttng(`create seen ${way.create} --set-url=net://127.0.0.1`.replace('  ', ' '));
  await scene.lttng(`enable-channel --userspace ${way.channel} --subbuf-size=4096 c`.replace('  ', ' '));
  await scene.lttng('enable-event --userspace --channel=c millrace:*');
  await scene.lttng('start');
  const viewer = followed ?? view();
  const emitters = [await scene.emitter(), await scene.emitter()];
  for (let n = 0; n < 10; n += 1) for (const emitter of emitters) await emitter.emit(20, 16, 2000);
  await scene.lttng('stop');
  const lines: string[] = [];
  // Two events for each that is asked for.
  const events = 800;
  // lttng-relayd may drop what its viewers have not read when the session is destroyed.
  if (isLive) while (lines.length < events) lines.push(await viewer.line());
  await scene.lttng('destroy seen');
  for (const emitter of emitters) await emitter.finish();
  lines.push(...(await within('the viewer to end', viewer.rest(), 60_000)));
  t.is((await viewer.ended).code, 0, viewer.errorText);
  await scene.endProducers();
  await scene.relay.stop();
  t.deepEqual(lines, babeltrace2(scene.relay.outputPath), viewer.errorText);
  t.is(lines.length, events);
}

for (const kind of kinds)
  for (const way of ways) {
    const title = `a session of ${kind} that is viewed ${way.name} is printed as babeltrace2 prints it`;
    if (missing === undefined) test.serial(title, (t) => viewAndCompare(t, kind, way));
    else if (peersRequired()) test(title, (t) => t.fail(missing));
    else test.skip(`${title} (${missing})`, () => {});
  }
