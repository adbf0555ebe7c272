import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { dial } from '../../lib/network/dial.ts';
import { listen } from '../../lib/network/listen.ts';
import { socketSource } from '../../lib/network/socket-source.ts';
import { type ByteBatch, releaseBatch } from '../../lib/stage/batch.ts';
import { SlabPool } from '../../lib/stage/slab.ts';
import { until } from './pair.ts';

test('dial resolves with a socket that nobody has read from, ready for a source', async (t) => {
  const listener = await listen({ host: '127.0.0.1', port: 0 }, (socket) => socket.resume().end('greeting'));
  const socket = await dial(listener.address);
  const pool = new SlabPool();
  const source = socketSource(socket, {
    pool,
    quota: pool.quota(),
    scratch: Buffer.alloc(65_536),
    name: 'x',
  });
  t.not(source.socket, socket);
  let text = '';
  source.on('data', (batch: ByteBatch) => {
    text += batch.slab.bytes.toString('latin1', batch.start, batch.end);
    releaseBatch(batch);
  });
  await once(source, 'end');
  t.is(text, 'greeting');
  await listener.close();
});

test('a port where nobody listens is an error that names it', async (t) => {
  const listener = await listen({ host: '127.0.0.1', port: 0 }, () => undefined);
  const { port } = listener.address;
  await listener.close();
  const error = await t.throwsAsync(dial({ host: 'localhost', port }));
  t.like(error, { code: 'MR_ERR_NETWORK_DIAL' });
  t.regex(error?.message ?? '', new RegExp(`localhost:${port}: .*ECONNREFUSED`));
});

test('a dial is called off by its signal with the signal’s reason, before and during', async (t) => {
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  // TEST-NET-1 (RFC 5737): nobody answers there
  const address = { host: '192.0.2.1', port: 9 };
  const during = dial(address, { signal: controller.signal });
  controller.abort(reason);
  t.is(await t.throwsAsync(during), reason);
  t.is(await t.throwsAsync(dial(address, { signal: controller.signal })), reason);
});

test('a peer that does not answer costs the deadline', async (t) => {
  // a stopped process accepts nobody: with its queue full, Linux leaves further connections without an answer
  const script =
    "const s = require('net').createServer().listen(0, '127.0.0.1', 1, () => process.send(s.address().port))";
  const stopped = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.teardown(() => stopped.kill('SIGKILL'));
  const [port] = (await once(stopped, 'message')) as [number];
  stopped.kill('SIGSTOP');
  const queue = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  t.teardown(() => {
    for (const socket of queue) socket.destroy();
  });
  await until(() => queue.filter(({ connecting }) => !connecting).length >= 2);
  const error = await t.throwsAsync(dial({ host: '127.0.0.1', port }, { timeoutMs: 50 }));
  t.like(error, { code: 'MR_ERR_NETWORK_DIAL' });
  t.regex(error?.message ?? '', /no answer in 50 ms/);
});

test('dial reaches a Unix socket by its path', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-dial-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 's');
  const server = createServer((socket: Socket) => socket.end('unix'));
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const socket = await dial({ path });
  socket.resume();
  t.is(String((await once(socket, 'data'))[0]), 'unix');
  await t.throwsAsync(dial({ path: `${path}-none` }), { code: 'MR_ERR_NETWORK_DIAL' });
});
