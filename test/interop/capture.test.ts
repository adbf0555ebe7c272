/** Recordings, played to real programs: they cannot tell them from the program that was recorded. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { type PlayReport, play } from '../../lib/capture/play.ts';
import type { Ports } from '../../lib/capture/ports.ts';
import { Recorder } from '../../lib/capture/recorder.ts';
import { createLogFile } from '../../lib/disk/log-writer.ts';
import { pattern } from '../helpers/bytes.ts';
import { missingPrograms, peersRequired, projectRoot } from './helpers/peers.ts';

const run = promisify(execFile);
const host = '127.0.0.1';

/** A test against these programs, where they are. */
function against(
  programs: readonly string[],
  title: string,
  body: (t: ExecutionContext) => Promise<void>,
): void {
  const missing = missingPrograms(programs);
  if (missing !== undefined && !peersRequired()) test.skip(`${title} (skipped: ${missing})`, () => {});
  else test(title, body);
}

/** Answers as the recorded server did; resolves with the port, and with how it went. */
async function serve(path: string, ports: Ports): Promise<{ ports: Ports; done: Promise<PlayReport> }> {
  let heard: (ports: Ports) => void = () => {};
  const listening = new Promise<Ports>((resolve) => {
    heard = resolve;
  });
  const done = play({ path, side: 'server', ports, onListening: heard });
  done.catch(() => {});
  return { ports: await listening, done };
}

const recording = (name: string): string => join(projectRoot, 'fixtures/captures', name);

/** Lines of events without the distance to the line before. */
const events = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.replace(/\(\+\S+\) /, ''));

for (const { name, session, lists } of [
  { name: 'viewer', session: 'seen', lists: true },
  { name: 'viewer-rotation', session: 'turned', lists: false },
])
  against(
    ['babeltrace2'],
    `babeltrace2 reads from the replay of ${name} what it read from lttng-relayd`,
    async (t) => {
      const { ports, done } = await serve(join(recording(name), 'conversation.mrlog'), {
        live: { host, port: 0 },
      });
      const { port } = ports.live as { port: number };
      const read = (url: string) => run('babeltrace2', ['--input-format=lttng-live', url]);
      if (lists)
        t.regex((await read(`net://${host}:${port}`)).stdout, new RegExp(`/host/traced/${session} `));
      const { stdout } = await read(`net://${host}:${port}/host/traced/${session}`);
      await done;
      const stored = await run('babeltrace2', [join(recording(name), 'oracle')]);
      t.deepEqual(events(stdout), events(stored.stdout));
    },
  );

against(
  ['nbdkit', 'nbdcopy'],
  'a copy of a disk is recorded, and copied again from the recording alone',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-captured-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const [image, copy, again, path] = ['image', 'copy', 'again', 'talk.mrlog'].map((name) =>
      join(folder, name),
    ) as [string, string, string, string];
    writeFileSync(image, pattern(3_000_000, 1));
    const log = createLogFile(path, { content: 'conversation' });
    const [server, between] = [join(folder, 'server'), join(folder, 'between')];
    const nbdkit = run('nbdkit', ['--foreground', '--exit-with-parent', '-U', server, 'file', image]);
    t.teardown(() => nbdkit.child.kill());
    nbdkit.catch(() => {});
    const recorder = new Recorder({
      openLog: () => log,
      ports: [{ role: 'nbd', listen: { path: between }, server: { path: server } }],
    });
    await recorder.start();
    const copied = async (socket: string, to: string) => {
      await run('nbdcopy', ['--connections=1', `nbd+unix:///?socket=${socket}`, to]);
      t.true(readFileSync(to).equals(readFileSync(image)));
    };
    await untilListens(server);
    await copied(between, copy);
    await recorder.finish(10_000);
    log.end();
    await new Promise((resolve) => log.once('close', resolve));

    const { done } = await serve(path, { nbd: { path: between } });
    await copied(between, again);
    t.true((await done).sentBytes > 3_000_000);
  },
);

/** Until somebody serves the socket. */
async function untilListens(path: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await run('nbdinfo', ['--size', `nbd+unix:///?socket=${path}`]);
      return;
    } catch (error) {
      if (tries > 100) throw error;
    }
  }
}
