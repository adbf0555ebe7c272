import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { dial } from '../../lib/network/dial.ts';
import { listen, listenAt } from '../../lib/network/listen.ts';
import { until } from './pair.ts';

const loopback = { host: '127.0.0.1', port: 0 };

test('a listener names the port that the system chose, and gives paused sockets', async (t) => {
  const sockets: Socket[] = [];
  const listener = await listen(loopback, (socket) => sockets.push(socket));
  t.true(listener.address.port > 0);
  const far = connect(listener.address.port, '127.0.0.1');
  far.write('something');
  await until(() => sockets.length === 1);
  t.true(sockets[0]?.isPaused());
  t.is(sockets[0]?.remotePort, far.localPort);
  far.destroy();
  sockets[0]?.destroy();
  await listener.close();
});

test('an address that is taken is an error that says so', async (t) => {
  const first = await listen(loopback, () => undefined);
  t.teardown(() => first.stop());
  const error = await t.throwsAsync(listen({ host: '127.0.0.1', port: first.address.port }, () => undefined));
  t.like(error, { code: 'MR_ERR_NETWORK_LISTEN' });
  t.regex(error?.message ?? '', /127\.0\.0\.1:\d+.*EADDRINUSE/);
});

test('stop refuses newcomers and keeps who is connected; close waits for the last', async (t) => {
  const sockets: Socket[] = [];
  const listener = await listen(loopback, (socket) => sockets.push(socket));
  const far = connect(listener.address.port, '127.0.0.1');
  await until(() => sockets.length === 1);
  listener.stop();
  const late = connect(listener.address.port, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  t.is(error.code, 'ECONNREFUSED');
  let closed = false;
  const closing = listener.close().then(() => {
    closed = true;
  });
  sockets[0]?.write('still here');
  await once(far, 'data');
  t.false(closed);
  far.destroy();
  sockets[0]?.destroy();
  await closing;
});

test('a ceiling closes the connections above it and tells', async (t) => {
  const sockets: Socket[] = [];
  const listener = await listen(loopback, (socket) => sockets.push(socket), { maxConnections: 1 });
  const far = connect(listener.address.port, '127.0.0.1');
  await until(() => sockets.length === 1);
  const second = connect(listener.address.port, '127.0.0.1').resume();
  await once(second, 'close');
  t.is(sockets.length, 1);
  far.destroy();
  sockets[0]?.destroy();
  await listener.close();
});

test('out of descriptors: newcomers are closed and told once a second, who is connected is served, and it recovers', async (t) => {
  const child = fileURLToPath(new URL('listen-child.js', import.meta.url));
  const server = spawn('sh', ['-c', `ulimit -n 80; exec "${process.execPath}" "${child}"`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => server.kill('SIGKILL'));
  const lines = createInterface(server.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => (await lines.next()).value as string;

  const port = Number(await line());
  const early = connect(port, '127.0.0.1');
  early.write('1');
  t.is(String((await once(early, 'data'))[0]), '1');
  server.stdin.write('exhaust\n');
  t.is(await line(), 'exhausted');
  // refused within the spare descriptors (told), then with none left at all (libuv closes in silence)
  for (const state of ['spare', 'none']) {
    for (let i = 0; i < 5; i += 1) {
      const late = connect(port, '127.0.0.1').resume();
      late.on('error', () => undefined);
      await once(late, 'close');
    }
    early.write('2');
    t.is(String((await once(early, 'data'))[0]), '2', state);
    if (state === 'none') break;
    server.stdin.write('exhaust all\n');
    t.is(await line(), 'network:refused warn 1 out of file descriptors');
    t.is(await line(), 'exhausted');
  }
  server.stdin.write('recover\n');
  t.is(await line(), 'recovered');
  const after = await dial({ host: '127.0.0.1', port });
  after.write('3');
  after.resume();
  t.is(String((await once(after, 'data'))[0]), '3');
  early.destroy();
  after.destroy();
});

test('a Unix socket has the mode that the umask leaves, and goes when its listener stops', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-listen-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'socket');
  const sockets: Socket[] = [];
  const listener = await listenAt({ path }, (socket) => sockets.push(socket));
  t.deepEqual(listener.address, { path });
  t.is(statSync(path).mode & 0o777, 0o777 & ~process.umask());
  const far = connect(path);
  await until(() => sockets.length === 1);
  await t.throwsAsync(
    listenAt({ path }, () => undefined),
    { code: 'MR_ERR_NETWORK_LISTEN', message: /socket/ },
  );
  far.destroy();
  // the second listener has looked whether somebody lives here
  for (const socket of sockets) socket.destroy();
  await listener.close();
  t.false(existsSync(path));
});
