/** The README's commands, as they stand there, in a world in which `relay-host` is this machine. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { missingPeers, peersRequired, projectRoot } from './helpers/peers.ts';
import { Scene } from './helpers/scene.ts';

/** The shell blocks below a heading of the README. */
function blocks(heading: string): string[] {
  const text = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block as string);
}

const missing = missingPeers();
const title = 'every command of everyday use does what the README says';

if (missing !== undefined && !peersRequired()) test.skip(`${title} (skipped: ${missing})`, () => {});
else
  test(title, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const [install, start, trace, watch, check] = blocks('Everyday use') as [
      string,
      string,
      string,
      string,
      string,
    ];
    t.regex(install, /^npm ci/, 'installing is left to whoever runs the tests');
    // A scene brings a world with a session daemon; its own relay gives the ports up again.
    const scene = await Scene.open(t, 'millrace');
    await scene.relay.stop('SIGTERM');
    const bin = join(projectRoot, 'dist/cli/bin.js');
    writeFileSync(join(folder, 'millrace'), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`, {
      mode: 0o755,
    });
    writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost relay-host\n');
    const sh = async (script: string) => {
      const prepared = `set -e; mount --bind ${folder}/hosts /etc/hosts; PATH=${folder}:$PATH; export HOME=${folder}\n`;
      const { status, stdout, stderr } = await scene.world.run('bash', ['-c', `${prepared}${script}`]);
      t.is(status, 0, `${script}\n${stdout}${stderr}`);
      return stdout;
    };
    await sh(start);
    const [before, after] = trace.split('# ...\n') as [string, string];
    await sh(before);
    const emitter = await scene.emitter();
    const events = await emitter.emit(100);
    const printed = await sh(after);
    t.is(printed.split('\n').filter((line) => line.includes('millrace:t')).length, events.length);
    t.regex(await sh(watch), /session/i);
    t.regex(await sh(check), /clean/i);
  });
