/** `millrace flexnbd` held against section C of nbd-migration: words and exit statuses. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { askFlexnbd } from '../../../lib/nbd/flexnbd/control-client.ts';
import { closeAfterConnect } from '../../fakes/nbd/destination/close-after-connect.ts';
import { errorOnWrite } from '../../fakes/nbd/destination/error-on-write.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { launch, run } from '../../helpers/flexnbd-process.ts';
import { freePort } from '../../helpers/free-port.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';
import { ask, disk, sizeBytes as size, start } from './served.ts';

test('usage: help goes to stdout with 0, wrong usage to stderr with 1, an unknown mode to stdout with 1', async (t) => {
  const overview = await run(t, ['help']);
  t.is(overview.code, 0);
  t.regex(overview.stdout, /mirror-speed/);
  for (const args of [
    ['help', 'serve'],
    ['serve', '--help'],
  ]) {
    const { code, stdout } = await run(t, args);
    t.is(code, 0);
    t.regex(stdout, /--default-deny/);
  }
  for (const args of [['serve'], ['serve', '--nonsense'], ['status', '--sock', 'x', 'y']]) {
    const { code, stdout, stderr } = await run(t, args);
    t.is(code, 1, args.join(' '));
    t.is(stdout, '');
    t.regex(stderr, /usage: millrace flexnbd/);
  }
  const unknown = await run(t, ['sevre']);
  t.is(unknown.code, 1);
  t.regex(unknown.stdout, /usage: millrace flexnbd MODE/);
  t.is(unknown.stderr, '');
});

test('F.15: what cannot be served is a message and a plain exit status', async (t) => {
  const folder = temporaryDirectory(t);
  const file = join(folder, 'disk');
  writeFileSync(file, disk);
  const base = ['serve', '--addr', '127.0.0.1', '--port', '0', '--file'];
  for (const [args, words] of [
    [[...base, join(folder, 'none')], /none/],
    [[...base, file, 'not-an-address'], /not-an-address/],
    [['serve', '-l', 'localhost', '-p', '0', '-f', file], /localhost/],
    [['serve', '-l', '127.0.0.1', '-p', '99999', '-f', file], /99999/],
    [['status', '--sock', join(folder, 'nobody')], /nobody/],
  ] as const) {
    const { code, signal, stderr } = await run(t, args);
    t.is(code, 1);
    t.is(signal, null);
    t.regex(stderr, words);
  }
});

test('L9: somebody else on the address ends it, and no control socket is left', async (t) => {
  const folder = temporaryDirectory(t);
  const file = join(folder, 'disk');
  writeFileSync(file, disk);
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  const sock = join(folder, 'sock');
  const { code, stderr } = await run(t, [
    'serve',
    '-l',
    '127.0.0.1',
    '-p',
    `${port}`,
    '-f',
    file,
    '-s',
    sock,
  ]);
  t.is(code, 1);
  t.regex(stderr, new RegExp(`127\\.0\\.0\\.1:${port}`));
  t.false(existsSync(sock));
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
  test(`serve ends with 0 on ${signal}, listen with 1; their control sockets are gone`, async (t) => {
    const both = await Promise.all([start(t, 'serve'), start(t, 'listen')]);
    for (const { running } of both) running.child.kill(signal);
    const ends = await Promise.all(both.map(({ running }) => running.ended));
    t.deepEqual(
      ends.map(({ code }) => code),
      [0, 1],
    );
    for (const { sock } of both) t.false(existsSync(sock));
  });

test('status, acl and break answer on stdout, failures on stderr with their code', async (t) => {
  const served = await start(t, 'serve');
  const address = { host: '127.0.0.1', port: served.port };
  const status = await ask(t, served, 'status');
  t.is(status.code, 0);
  t.is(
    status.stdout,
    `pid=${served.running.child.pid} size=${size} is_mirroring=false clients_allowed=true num_clients=0 has_control=true \n`,
  );
  t.is((await ask(t, served, 'acl', '10.0.0.0/8', '::1')).stdout, 'updated\n');
  t.is((await (await Peer.connect(address)).rest()).length, 0);
  t.is((await ask(t, served, 'acl')).stdout, 'updated\n');
  t.is((await (await Peer.connect(address)).read(152)).length, 152);

  const bad = await ask(t, served, 'acl', '1.2.3.4/99');
  t.deepEqual([bad.code, bad.stdout, bad.stderr], [1, '', 'bad spec: 1.2.3.4/99\n']);
  const idle = await ask(t, served, 'break');
  t.deepEqual([idle.code, idle.stderr], [1, 'not mirroring\n']);
  const speed = await ask(t, served, 'mirror-speed', '-m', '1000');
  t.deepEqual([speed.code, speed.stderr], [1, 'Not currently mirroring\n']);
  t.deepEqual(await askFlexnbd(served.sock, 'entrust'), { code: 10, text: 'unknown command' });

  const listening = await start(t, 'listen');
  t.regex((await ask(t, listening, 'status')).stdout, /has_control=false $/m);
});

test('serve, listen, mirror: the disk moves, both end with 0, and with --unlink the file is gone (F.6)', async (t) => {
  const [from, to] = [await start(t, 'serve'), await start(t, 'listen', Buffer.alloc(size))];
  const mirror = await ask(t, from, 'mirror', '--unlink', '-l', '127.0.0.1', '-p', `${to.port}`);
  t.deepEqual([mirror.code, mirror.stdout], [0, 'Mirror started\n']);
  t.is((await from.running.ended).code, 0);
  t.is((await to.running.ended).code, 0);
  t.false(existsSync(from.file));
  t.true(readFileSync(to.file).equals(disk));
});

test('mirror says why it did not start, L16 included, and the source goes on; L6: a signal while one runs is 1', async (t) => {
  const from = await start(t, 'serve');
  const rejecting = await FakeDestination.start(t, size, closeAfterConnect);
  const other = await FakeDestination.start(t, size + 512);
  const held = holding();
  const good = await FakeDestination.start(t, size, held.sin);
  const mirror = (port: number) => ask(t, from, 'mirror', '-l', '127.0.0.1', '-p', `${port}`);
  for (const [port, words] of [
    [rejecting.port, 'Mirror was rejected\n'],
    [other.port, 'Remote size does not match local size\n'],
    [await freePort(), 'Mirror failed to connect\n'],
  ] as const) {
    const { code, stderr } = await mirror(port);
    t.deepEqual([code, stderr], [1, words]);
  }
  t.is((await mirror(good.port)).stdout, 'Mirror started\n');
  const second = await mirror(good.port);
  t.deepEqual([second.code, second.stderr], [1, 'mirror already running\n']);
  t.is((await ask(t, from, 'mirror-speed', '-m', '5000')).stdout, 'updated\n');
  const { stdout } = await ask(t, from, 'status');
  t.regex(
    stdout,
    /is_mirroring=true .*migration_speed=\d+ migration_duration=\d+ migration_seconds_left=\d+ migration_bytes_left=\d+ migration_speed_limit=5000 $/m,
  );
  t.is((await ask(t, from, 'break')).stdout, 'mirror stopped\n');
  t.is((await mirror(good.port)).stdout, 'Mirror started\n');
  from.running.child.kill('SIGTERM');
  t.is((await from.running.ended).code, 1);
  t.false(good.disconnected);
  t.true(existsSync(from.file));
});

test('F.10: a file below 512 bytes, or an empty one, is an answer and not the end', async (t) => {
  const from = await start(t, 'serve', Buffer.alloc(100));
  const to = await FakeDestination.start(t, 512);
  const { code, stderr } = await ask(t, from, 'mirror', '-l', '127.0.0.1', '-p', `${to.port}`);
  t.is(code, 1);
  t.is(stderr, 'Remote size does not match local size\n');
  const empty = await FakeDestination.start(t, 0);
  t.is((await ask(t, from, 'mirror', '-l', '127.0.0.1', '-p', `${empty.port}`)).code, 0);
  t.is((await from.running.ended).code, 0);
  t.true(empty.disconnected);
});

test('read and write move exactly the range; --size may name a file', async (t) => {
  const served = await start(t, 'serve');
  const at = ['-l', '127.0.0.1', '-p', `${served.port}`];
  const read = await run(t, ['read', ...at, '--from', '100', '--size', '5000']);
  t.is(read.code, 0);
  t.true(Buffer.from(read.stdout, 'latin1').equals(disk.subarray(100, 5100)));
  const written = pattern(3000, 9);
  t.is((await run(t, ['write', ...at, '-F', '512', '-S', '3000'], { input: written })).code, 0);
  const named = join(served.file, '..', 'named');
  writeFileSync(named, pattern(700, 4));
  t.is((await run(t, ['write', ...at, '-F', '8192', '-S', named])).code, 0);
  const after = readFileSync(served.file);
  t.true(after.subarray(512, 3512).equals(written));
  t.true(after.subarray(8192, 8892).equals(pattern(700, 4)));
});

test('F.9, F.13: reads and writes that fail say so in their exit status', async (t) => {
  const served = await start(t, 'serve');
  const at = ['-l', '127.0.0.1', '-p', `${served.port}`];
  const failing = await FakeDestination.start(t, size, errorOnWrite(1, 5));
  const fails: ReadonlyArray<readonly [args: string[], words: RegExp, input?: Buffer]> = [
    [['read', ...at, '-F', `${size - 10}`, '-S', '11'], /of a disk of 65536/],
    [['write', ...at, '-F', '0', '-S', '1000'], /900 bytes too early/, Buffer.alloc(100)],
    [['write', '-l', '127.0.0.1', '-p', `${failing.port}`, '-F', '0', '-S', '512'], /EIO/, Buffer.alloc(512)],
    [['read', '-l', '127.0.0.1', '-p', `${await freePort()}`, '-F', '0', '-S', '1'], /connect/],
  ];
  for (const [args, words, input] of fails) {
    const { code, stdout, stderr } = await run(t, args, input === undefined ? {} : { input });
    t.is(code, 1, args.join(' '));
    t.is(stdout, '');
    t.regex(stderr, words);
  }
});

test('L10, C.8: the log has flexnbd’s form, every line whole, and is as loud as asked', async (t) => {
  const form = /^\d+:[DIWEF]:\d+ 0x[0-9a-f]+ \S+ \S+:\d+: .+$/;
  const loud = await start(t, 'serve', disk, ['--verbose']);
  const address = { host: '127.0.0.1', port: loud.port };
  const peers = await Promise.all(Array.from({ length: 16 }, () => Peer.connect(address)));
  await Promise.all(peers.map((peer) => peer.read(152)));
  await Promise.all(peers.map((peer) => peer.destroy()));
  loud.running.child.kill('SIGTERM');
  const lines = (await loud.running.ended).stderr.trimEnd().split('\n');
  t.true(lines.length > 16);
  for (const line of lines) t.regex(line, form);
  t.true(lines.some((line) => line.endsWith(`: Serving file ${loud.file}`)));

  const usual = await start(t, 'serve');
  usual.running.child.kill('SIGTERM');
  t.is((await usual.running.ended).stderr, '');
});

test('a stale control socket is replaced, a living one is not', async (t) => {
  const first = await start(t, 'serve');
  const other = join(first.file, '..', 'other');
  writeFileSync(other, disk);
  const again = ['serve', '-l', '127.0.0.1', '-p', '0', '-s', first.sock, '-f', other];
  const refused = await run(t, again);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /living process/);
  first.running.child.kill('SIGKILL');
  await first.running.ended;
  t.true(existsSync(first.sock));
  const heir = launch(t, again);
  while ((await askFlexnbd(first.sock, 'status').catch(() => undefined)) === undefined)
    await new Promise((resolve) => setTimeout(resolve, 10));
  heir.child.kill('SIGTERM');
  t.is((await heir.ended).code, 0);
});
