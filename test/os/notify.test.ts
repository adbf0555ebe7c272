import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { notifyManager } from '../../lib/os/notify.ts';
import { canReceive, receiveDatagrams } from '../helpers/datagrams.ts';

const received = canReceive ? test : test.skip;

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-notify-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

received('lines arrive as one datagram, at a path', async (t) => {
  const path = join(directory(t), 'notify');
  const next = await receiveDatagrams(t, path);
  t.is(notifyManager(path, ['READY=1', 'MAINPID=7']), undefined);
  t.is(notifyManager(path, ['STOPPING=1']), undefined);
  t.is(await next(), 'READY=1 MAINPID=7');
  t.is(await next(), 'STOPPING=1');
});

received('and at a name without a file', async (t) => {
  const name = `@millrace-notify-${process.pid}`;
  const next = await receiveDatagrams(t, name);
  t.is(notifyManager(name, ['READY=1']), undefined);
  t.is(await next(), 'READY=1');
});

test('where nobody listens, or the address is none, the reason comes back', (t) => {
  const path = join(directory(t), 'nobody');
  t.is(notifyManager(path, ['READY=1']), `${path}: ENOENT`);
  t.is(notifyManager('@millrace-nobody', ['READY=1']), '@millrace-nobody: ECONNREFUSED');
  for (const address of ['relative', '@', '', '/'.padEnd(108, 'x'), 'vsock:2:1'])
    t.is(notifyManager(address, ['READY=1']), `"${address}" is no address of a Unix socket`);
});

test('without koffi the reason is that', (t) => {
  const url = new URL('../../lib/os/notify.js', import.meta.url).href;
  const script = `import { notifyManager } from ${JSON.stringify(url)}; console.log(notifyManager('/x', ['READY=1']))`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, MILLRACE_NO_NATIVE: '1' },
    encoding: 'utf8',
  });
  t.is(said, 'MILLRACE_NO_NATIVE is set\n');
});
