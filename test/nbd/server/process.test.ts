// A server as a process: start, end, memory, and who may not stop the others. The letters are those of nbd-migration, E.
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import test from 'ava';
import { noise } from '../../helpers/bytes.ts';
import { client, mib, RawClient } from '../../helpers/nbd.ts';
import { commands, request, simple } from '../../helpers/nbd-bytes.ts';
import { imageFile, NbdProcess } from '../../helpers/nbd-process.ts';

test('F.16: one WRITE of 512 MiB, and long READs that nobody takes, leave the server below 160 MiB', async (t) => {
  const path = imageFile(t, 512 * mib);
  const server = await NbdProcess.start(t, { args: ['--oldstyle', '--sync', 'flush', path] });
  const port = await server.port();
  const raw = new RawClient(t, port);
  await raw.take(152);
  const piece = noise(mib, 5);
  raw.say(request({ type: commands.write, length: 512 * mib }));
  for (let i = 0; i < 512; i += 1)
    if (!raw.socket.write(piece)) await new Promise((resolve) => raw.socket.once('drain', resolve));
  t.deepEqual(await raw.take(16), simple(1));
  const idlers = Array.from({ length: 40 }, () => new RawClient(t, port));
  for (const idler of idlers) {
    await idler.take(152);
    idler.socket.pause();
    for (let i = 0; i < 8; i += 1) idler.say(request({ type: commands.read, cookie: i, length: 64 * mib }));
  }
  // whoever reads is served all the same
  for (let i = 0; i < 8; i += 1) {
    raw.say(request({ type: commands.read, cookie: 9, offset: i * mib, length: mib }));
    const reply = await raw.take(16 + mib);
    t.true(reply.subarray(16).equals(piece));
  }
  t.true(server.peakMiB() < 160, `${server.peakMiB()} MiB`);
  for (const idler of idlers) idler.socket.destroy();
  t.is(await server.stop(), 0);
});

test('L4, L7: the control socket appears when the server listens, and the hello comes at once', async (t) => {
  const path = imageFile(t, 8 * 1024 * mib);
  for (let run = 0; run < 5; run += 1) {
    const server = new NbdProcess(t, { args: [path] });
    while (!existsSync(server.controlPath)) await new Promise((resolve) => setImmediate(resolve));
    const port = await server.port();
    const raw = new RawClient(t, port);
    await new Promise((resolve) => raw.socket.once('connect', resolve));
    const startMs = performance.now();
    t.is((await raw.take(18)).length, 18);
    t.true(performance.now() - startMs < 1000, 'nothing slow lies between');
    const ending = server.stop();
    t.is(await ending, 0);
    t.false(existsSync(server.controlPath));
  }
});

test('L2: the killswitch cuts a WRITE whose data stop, and nobody else; without one nobody is cut', async (t) => {
  const path = imageFile(t, mib);
  const server = await NbdProcess.start(t, { args: ['--oldstyle', '--killswitch', '1', path] });
  const port = await server.port();
  const other = new RawClient(t, port);
  await other.take(152);
  const before = server.descriptors();
  const stuck = new RawClient(t, port);
  await stuck.take(152);
  stuck.say(request({ type: commands.write, length: 4096 }), Buffer.alloc(2048));
  const startMs = performance.now();
  while (!stuck.isClosed) {
    other.say(request({ type: commands.flush, cookie: 4 }));
    t.deepEqual(await other.take(16), simple(4));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.true(performance.now() - startMs > 900);
  await server.says(/MR_ERR_NBD_KILLED/);
  t.is((await server.status()).clients.length, 1);
  await server.hasDescriptors(before);
  t.false(other.isClosed, 'an idle client is never cut');
  t.is(await server.stop(), 0);

  const patient = await NbdProcess.start(t, { args: ['--oldstyle', path] });
  const slow = new RawClient(t, await patient.port());
  await slow.take(152);
  slow.say(request({ type: commands.write, length: 4096 }), Buffer.alloc(2048));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  t.false(slow.isClosed);
  slow.say(Buffer.alloc(2048));
  t.deepEqual(await slow.take(16), simple(1));
});

test('L27: keep-alive watches every connection, so that a vanished peer frees its place', async (t) => {
  const server = await NbdProcess.start(t, { args: [imageFile(t, mib)] });
  const port = await server.port();
  const raw = new RawClient(t, port);
  await raw.take(18);
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .find(
      (each) => each.includes(`:${hexPort} `) && / 01 /.test(each) && each.split(':')[2]?.startsWith(hexPort),
    );
  // timer 2 is keep-alive; when it is due, in hundredths of a second (proc(5))
  const [, timer, due] = / (\d\d):([0-9A-F]{8}) /.exec(line ?? '') ?? [];
  t.is(timer, '02');
  t.true(Number.parseInt(due ?? '', 16) <= 3000);
});

test('L3: without native calls a disk is served all the same, with one warning for each thing that is missing', async (t) => {
  const server = await NbdProcess.start(t, {
    args: [imageFile(t, mib, [[0, noise(4096, 1)]])],
    env: { MILLRACE_NO_NATIVE: '1' },
  });
  const disk = await client(t, await server.port());
  const bytes = noise(100_000, 2);
  await disk.write(bytes, 0, bytes.length, 1000, { fua: true });
  await disk.zero(2000, 50_000);
  await disk.trim(0, 4096);
  await disk.flush();
  bytes.fill(0, 1000, 51_000);
  const back = Buffer.alloc(bytes.length - 3096);
  await disk.read(back, 0, back.length, 4096);
  t.true(back.equals(bytes.subarray(3096)));
  t.deepEqual(await disk.extents(0, mib, 9), [{ lengthBytes: mib, hole: false }]);
  t.is((await server.status()).exports[0]?.allocationMap, 'unknown');
  await disk.disconnect();
  t.is(await server.stop(), 0);
  for (const event of ['os:no-locks', 'disk:no-allocation-map'])
    t.is(server.lines.filter((line) => line.includes(event)).length, 1, event);
});

test('L9: somebody else on the address ends the start with an error that names it', async (t) => {
  const first = await NbdProcess.start(t, { args: [imageFile(t, mib)] });
  const port = await first.port();
  const second = new NbdProcess(t, {
    args: ['-a', '127.0.0.1', '-p', String(port), imageFile(t, mib)],
    anywhere: true,
  });
  const { code } = await second.ended;
  t.is(code, 1);
  t.regex(second.lines.join('\n'), new RegExp(`127\\.0\\.0\\.1:${port}.*EADDRINUSE`));
  t.false(existsSync(second.controlPath));
});

test('an image that is in use, or is none, ends the start with an error that names it', async (t) => {
  const path = imageFile(t, mib);
  await NbdProcess.start(t, { args: [path] });
  const second = new NbdProcess(t, { args: [path] });
  t.is((await second.ended).code, 1);
  t.regex(second.lines.join('\n'), /image .* is used by another program/);
  const none = new NbdProcess(t, { args: ['/nonexistent/image'] });
  t.is((await none.ended).code, 1);
  t.regex(none.lines.join('\n'), /\/nonexistent\/image/);
  const usage = new NbdProcess(t, { args: [] });
  t.is((await usage.ended).code, 2);
});

test('L10: clients that close in the middle of a large read do no harm, and the log has whole lines', async (t) => {
  const server = await NbdProcess.start(t, {
    args: ['--oldstyle', imageFile(t, 64 * mib, [[0, noise(mib, 1)]])],
  });
  const port = await server.port();
  const other = new RawClient(t, port);
  await other.take(152);
  const before = server.descriptors();
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const raw = new RawClient(t, port);
      await raw.take(152);
      raw.say(request({ type: commands.read, length: 64 * mib }));
      await raw.take(1000);
      raw.socket.resetAndDestroy();
      await raw.closed;
    }),
  );
  other.say(request({ type: commands.flush, cookie: 4 }));
  t.deepEqual(await other.take(16), simple(4));
  while ((await server.status()).clients.length > 1) await new Promise((resolve) => setTimeout(resolve, 10));
  await server.hasDescriptors(before);
  t.is(await server.stop(), 0);
  for (const line of server.lines) t.notThrows(() => JSON.parse(line) as unknown, line);
});

test('F.11: a client stuck in the middle of a WRITE holds up the end for a bounded time, the second signal at once', async (t) => {
  const server = await NbdProcess.start(t, { args: ['--oldstyle', imageFile(t, mib)] });
  const raw = new RawClient(t, await server.port());
  await raw.take(152);
  raw.say(request({ type: commands.write, length: 4096 }), Buffer.alloc(2048));
  while ((await server.status()).clients[0]?.inFlight !== 1)
    await new Promise((resolve) => setImmediate(resolve));
  server.child.kill('SIGTERM');
  while (existsSync(server.controlPath)) await new Promise((resolve) => setTimeout(resolve, 10));
  t.is(await server.stop('SIGTERM'), 128 + 15);
});

test('a service manager hands over a listening socket, and is told when it is served', async (t) => {
  const { createServer } = await import('node:net');
  const listening = createServer();
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  t.teardown(() => listening.close());
  const { port } = listening.address() as { port: number };
  const fd = (listening as unknown as { _handle: { fd: number } })._handle.fd;
  // LISTEN_PID is the process that serves: the shell replaces itself
  const wrapper = ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"'];
  const server = await NbdProcess.start(t, { args: [imageFile(t, mib)], wrapper, inherit: [fd] });
  // whoever handed it over does not accept on it any more
  listening.close();
  t.deepEqual((await server.status()).addresses, [`127.0.0.1:${port}`]);
  const disk = await client(t, port);
  t.is(disk.sizeBytes, mib);
  await disk.disconnect();
});

test('a Unix socket is served, replaced when its server is dead, and removed at the end', async (t) => {
  const path = imageFile(t, mib);
  const socket = `${path}.sock`;
  const dead = await NbdProcess.start(t, { args: ['-u', socket, path], anywhere: true });
  await dead.stop('SIGKILL');
  t.true(existsSync(socket));
  const server = await NbdProcess.start(t, { args: ['-u', socket, path], anywhere: true });
  await new Promise<void>((resolve, reject) => {
    connect(socket)
      .once('data', () => resolve())
      .once('error', reject);
  });
  t.is(await server.stop(), 0);
  t.false(existsSync(socket));
});
