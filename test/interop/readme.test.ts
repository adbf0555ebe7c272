/** The README's commands, as they stand there, in a world in which `relay-host` is this machine. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { missingPeers, missingPrograms, peersRequired, projectRoot } from './helpers/peers.ts';
import { Scene } from './helpers/scene.ts';

/** The shell blocks below a heading of the README, of any depth. */
function blocks(heading: string): string[] {
  const text = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = text.split(new RegExp(`\n##+ ${heading}\n`))[1]?.split(/\n##+ /)[0] ?? '';
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block as string);
}

const missing = missingPeers() ?? missingPrograms(['hostname']);
const title = 'every command of everyday use does what the README says';

if (missing !== undefined && !peersRequired()) test.skip(`${title} (skipped: ${missing})`, () => {});
else
  test(title, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const program = (name: string, body: string) =>
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    program('millrace', `exec ${process.execPath} ${join(projectRoot, 'dist/cli/bin.js')} "$@"`);
    // The other host of the pipe is this one.
    program('ssh', 'shift; exec "$@"');
    writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost relay-host\n');
    // A scene brings a world with a session daemon; its own relay gives the ports up again.
    const scene = await Scene.open(t, 'millrace');
    await scene.relay.stop('SIGTERM');
    const sh = async (script: string) => {
      const prepared = `set -e; mount --bind ${folder}/hosts /etc/hosts; PATH=${folder}:$PATH; export HOME=${folder}; cd ${folder}\n`;
      const { status, stdout, stderr } = await scene.world.run('bash', ['-c', `${prepared}${script}`]);
      t.is(status, 0, `${script}\n${stdout}${stderr}`);
      return stdout;
    };
    /** Runs a block in which a program is traced where the README says so. */
    const traced = async (block: string) => {
      const [before, after] = block.split('# ...\n') as [string, string];
      await sh(before);
      const emitter = await scene.emitter();
      const events = await emitter.emit(100);
      return { events: events.length, printed: await sh(after) };
    };
    const eventLines = (text: string) =>
      text.split('\n').filter((line) => line.startsWith('[') && line.includes('millrace:t')).length;

    const [install] = blocks('Everyday use') as [string];
    t.regex(install, /^npm ci/, 'installing is left to whoever runs the tests');

    const [start, trace, watch, check] = blocks('A relay') as [string, string, string, string];
    await sh(start);
    const recorded = await traced(trace);
    t.is(eventLines(recorded.printed), recorded.events);
    t.regex(await sh(watch), /session/i);
    t.regex(await sh(check), /clean/i);

    const [look, live] = blocks('Looking at traces') as [string, string];
    const looked = await sh(look);
    // All of them, then the ticks but the first eleven, which the emitter numbers.
    t.is(eventLines(looked), recorded.events + recorded.events / 2 - 11);
    t.regex(looked, /^\{.*millrace:tick/m);
    const watched = await traced(live);
    t.regex(watched.printed, /my-live/);
    t.is(eventLines(readFileSync(join(folder, 'live.txt'), 'utf8')), watched.events);

    const [carry] = blocks('Carrying traces') as [string];
    await sh(carry);
    for (const [name, events] of [
      ['my-session', recorded.events],
      ['my-live', watched.events],
      ['copied', watched.events],
    ] as const)
      t.is(eventLines(await sh(`millrace view unpacked/*/${name}-*`)), events, name);

    const [move] = blocks('Disks') as [string];
    await sh(move);
    for (const copy of ['copy.img', 'moved.img'])
      t.true(readFileSync(join(folder, copy)).equals(readFileSync(join(folder, 'disk.img'))), copy);
  });
