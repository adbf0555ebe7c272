/** Live sessions of real producers, and real viewers of them. */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { RelayStatus } from '../../../lib/index.ts';
import { hasViewer, type ViewerName, Watching } from './babeltrace.ts';
import { missingPeers, peersRequired, projectRoot } from './peers.ts';
import type { Scene } from './scene.ts';
import { until } from './wait.ts';

const missing =
  missingPeers() ??
  (hasViewer('babeltrace 1.5')
    ? undefined
    : 'not installed: babeltrace (the 1.5 of Debian package babeltrace)');

/** Registers a test that is skipped, or fails where peers are required, when a peer is missing. */
export function live(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (missing === undefined)
    test.serial(title, (t) => {
      t.timeout(120_000);
      return run(t);
    });
  else if (peersRequired()) test(title, (t) => t.fail(missing));
  else test.skip(`${title} (${missing})`, () => {});
}

/** What the relay says of itself. */
export async function status(scene: Scene): Promise<RelayStatus> {
  const bin = join(projectRoot, 'dist/cli/bin.js');
  const { status: code, stdout, stderr } = await scene.world.run(process.execPath, [bin, 'status', '--json']);
  if (code !== 0) throw new Error(`millrace status: ${stderr}`);
  return JSON.parse(stdout) as RelayStatus;
}

/** Starts a live session with a period of `ms` that traces everything. */
export async function startLive(scene: Scene, name: string, channel = '', ms = 200): Promise<void> {
  await scene.lttng(`create ${name} --live=${ms * 1000} --set-url=net://127.0.0.1`);
  if (channel !== '') await scene.lttng(`enable-channel -u -s ${name} c ${channel}`);
  await scene.lttng(`enable-event -u -s ${name}${channel === '' ? '' : ' -c c'} millrace:*`);
  await scene.lttng(`start ${name}`);
}

/** Stops and destroys it. */
export async function endLive(scene: Scene, name: string): Promise<void> {
  await scene.lttng(`stop ${name}`);
  await scene.lttng(`destroy ${name}`);
}

/** Viewers that are attached, and have been shown the streams of the session. */
export async function watch(
  scene: Scene,
  names: readonly ViewerName[],
  session: string,
): Promise<Watching[]> {
  const watching = names.map((name) => Watching.start(scene.world, name, session));
  await until(
    'viewers to attach',
    async () => {
      const attached = (await status(scene)).viewers.filter(({ sessions }) =>
        sessions.some(({ name }) => name === session),
      );
      return attached.length >= names.length;
    },
    30_000,
  );
  return watching;
}

/** Everything that was emitted so far is at the relay: `lttng stop` waits for that, a pause of the machine or not. */
export async function settled(scene: Scene, name: string): Promise<void> {
  await scene.lttng(`stop ${name}`);
  await scene.lttng(`start ${name}`);
}

/** Viewers that were there before the first packet have been given every one. */
export async function caughtUp(scene: Scene): Promise<void> {
  await until('viewers to catch up', async () => {
    const { viewers: watching, totals } = await status(scene);
    return watching.every(({ packets }) => packets >= totals.packets);
  });
}
