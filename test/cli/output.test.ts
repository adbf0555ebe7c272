import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { main } from '../../cli/main.ts';
import { fixture } from '../helpers/traces.ts';
import { fakeContext, temporary } from './fake-context.ts';

const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url));
const trace = fixture('corpus/ust-many-events');

const commands = [
  ['--help'],
  ['--version'],
  ['view', '--help'],
  ['view', trace],
  ['view', '--raw', trace],
  ['view', '--stats', trace],
  ['verify', trace],
  ['pipe', trace, '-'],
] as const;

for (const words of commands) {
  const name = words.map((word) => (word === trace ? 'TRACE' : word)).join(' ');
  test(`${name}: output that the disk did not take is told, and costs status 1`, (t) => {
    const shell = `exec "$0" "$@" > /dev/full`;
    const { status, stderr } = spawnSync('bash', ['-c', shell, process.execPath, bin, ...words], {
      encoding: 'utf8',
    });
    t.is(status, 1);
    t.regex(stderr, /ENOSPC/);
    t.notRegex(stderr, /\n +at /);
  });
}

test('output of which the file took a part only is told, and costs status 1', (t) => {
  const path = join(temporary(t), 'help');
  const shell = 'ulimit -f 1; exec "$0" "$@" > "$OUTPUT"';
  const { status, stderr } = spawnSync('bash', ['-c', shell, process.execPath, bin, 'relay', '--help'], {
    encoding: 'utf8',
    env: { ...process.env, OUTPUT: path },
  });
  t.is(statSync(path).size, 1024);
  t.is(status, 1);
  t.regex(stderr, /^millrace relay: standard output: EFBIG/);
});

test('view --output-file: a file that cannot be made or filled is one line and status 1', async (t) => {
  for (const [path, code] of [
    ['/dev/full', /^millrace view: ENOSPC[^\n]*\n$/],
    [join(temporary(t), 'missing', 'file'), /^millrace view: ENOENT[^\n]*missing[^\n]*\n$/],
    [temporary(t), /^millrace view: EISDIR[^\n]*\n$/],
  ] as const) {
    const context = fakeContext(t, ['view', `--output-file=${path}`, trace]);
    t.is(await main(context), 1);
    t.regex(context.words('stderr'), code);
  }
});
