import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import fse from 'fs-extra';

const program = fileURLToPath(new URL('../../cli/demo.js', import.meta.url));
const fixture = fileURLToPath(new URL('../../../fixtures/captures/ust-plain', import.meta.url));

function temporary(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-demo-test-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

function run(t: ExecutionContext, ...args: string[]) {
  const env = { ...process.env, TMPDIR: temporary(t), TZ: 'America/Caracas' };
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env });
}

test('demo: stores what lttng-relayd stored, in any time zone, and says where', (t) => {
  const { status, stdout, stderr } = run(t);
  t.is(stderr, '');
  t.is(status, 0);
  t.regex(stdout, /^verified +5 files, 20800 bytes/m);
  t.regex(stdout, /^trace +\/.*millrace-demo-/m);
});

test('demo: one wrong byte, a missing and a foreign file fail it by name', (t) => {
  const copy = temporary(t);
  fse.copySync(fixture, copy);
  const directory = join(copy, 'oracle/vm/plain-20261120-214536/ust/uid/0/64-bit');
  const path = join(directory, 'metadata');
  const bytes = readFileSync(path);
  bytes[100] = (bytes[100] as number) ^ 1;
  writeFileSync(path, bytes);
  rmSync(join(directory, 'channel_0'));
  writeFileSync(join(directory, 'channel_9'), '');
  const { status, stdout } = run(t, copy);
  t.is(status, 1);
  t.regex(stdout, /^DIFFERENT .*metadata differs$/m);
  t.regex(stdout, /^DIFFERENT .*channel_0 should not be there$/m);
  t.regex(stdout, /^DIFFERENT .*channel_9 is missing$/m);
  t.notRegex(stdout, /verified/);
});

test('demo: a recording that is not there is said, not thrown', (t) => {
  const { status, stderr } = run(t, '/nonexistent');
  t.is(status, 1);
  t.regex(stderr, /^demo: ENOENT/);
});
