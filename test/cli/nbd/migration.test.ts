/** `millrace nbd serve`, `listen` and `mirror` as processes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { askControl } from '../../../lib/network/control-socket.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { onlyDisconnects } from '../../fakes/nbd/source/only-disconnects.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { launch, type RunningFlexnbd, ready, run as runProgram } from '../../helpers/flexnbd-process.ts';
import { freePort } from '../../helpers/free-port.ts';
import { test } from '../../helpers/serial.ts';

const size = 1024 * 1024;
const disk = pattern(size, 2);
const nbd = { command: 'nbd' };
const run = (t: ExecutionContext, args: readonly string[]) => runProgram(t, args, nbd);

interface Source {
  running: RunningFlexnbd;
  file: string;
  sock: string;
  port: number;
}

async function serve(t: ExecutionContext): Promise<Source> {
  const folder = temporaryDirectory(t);
  const [file, sock, port] = [join(folder, 'disk'), join(folder, 'sock'), await freePort()];
  writeFileSync(file, disk);
  const running = launch(t, ['serve', '-a', '127.0.0.1', '-p', `${port}`, '-s', sock, file], nbd);
  await ready(running, sock);
  return { running, file, sock, port };
}

/** Events that `listen --json` prints, by name. */
async function listen(t: ExecutionContext, more: readonly string[] = []) {
  const file = join(temporaryDirectory(t), 'copy');
  const args = ['listen', '--json', '-a', '127.0.0.1', '-p', '0', '--create', `${size}`, ...more, file];
  const running = launch(t, args, nbd);
  const events: Array<Record<string, unknown>> = [];
  let told = (): void => undefined;
  createInterface(running.child.stdout as NodeJS.ReadableStream).on('line', (line) => {
    events.push(JSON.parse(line) as Record<string, unknown>);
    told();
  });
  const event = async (name: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const found = events.find((each) => each.event === name);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        told = resolve;
      });
    }
  };
  const { port } = (await event('listening')).address as { port: number };
  return { running, file, event, uri: `nbd://127.0.0.1:${port}`, port };
}

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('mirror --wait --unlink: events as JSON lines, the image gone here and whole there, everybody ends with 0', async (t) => {
  const from = await serve(t);
  const to = await listen(t);
  const mirror = await run(t, ['mirror', '--wait', '--json', '--unlink', from.sock, to.uri]);
  t.is(mirror.code, 0, mirror.stderr);
  const names = lines(mirror.stdout).map(({ event }) => event);
  t.deepEqual(
    names.filter((name) => name !== 'progress' && name !== 'pass'),
    ['connecting', 'connected', 'shutting', 'finishing', 'done'],
  );
  t.is((await from.running.ended).code, 0);
  t.is((await to.running.ended).code, 0);
  t.false(existsSync(from.file));
  t.false(existsSync(`${to.file}.INCOMPLETE`));
  t.true(readFileSync(to.file).equals(disk));
});

test('with --stay the source answers where the disk is, and its log says so; the listener serves it from then on', async (t) => {
  const from = await serve(t);
  const to = await listen(t, ['--then-serve', '127.0.0.1:0', '--served-at', 'nbd://127.0.0.1:10809']);
  const mirror = await run(t, ['mirror', '--wait', '--stay', from.sock, to.uri]);
  t.is(mirror.code, 0);
  t.regex(
    mirror.stderr,
    /^the disk has gone to nbd:\/\/127\.0\.0\.1:10809; clients were shut out for \d+ ms/,
  );
  const { handedOver, state } = (await askControl(from.sock, 'mirror-status')) as {
    handedOver: { servedAt: string };
    state: string;
  };
  t.is(state, 'done');
  t.is(handedOver.servedAt, 'nbd://127.0.0.1:10809');
  const { port } = (await to.event('serving')).address as { port: number };
  const read = await run(t, ['read', `nbd://127.0.0.1:${port}`, join(to.file, '..', 'out')]);
  t.is(read.code, 0, read.stderr);
  t.true(readFileSync(join(to.file, '..', 'out')).equals(disk));
  for (const { running } of [from, to]) running.child.kill('SIGTERM');
  t.is((await from.running.ended).code, 0);
  t.is((await to.running.ended).code, 0);
});

test('listen --then-serve: somebody else on that address is an error that names it; the disk is here and not marked', async (t) => {
  const other = await FakeDestination.start(t, size);
  const from = await serve(t);
  const to = await listen(t, ['--then-serve', `127.0.0.1:${other.port}`]);
  const mirror = await run(t, ['mirror', '--wait', '--unlink', from.sock, to.uri]);
  t.is(mirror.code, 0, mirror.stderr);
  await to.event('received');
  const { code, stderr } = await to.running.ended;
  t.is(code, 1);
  t.regex(stderr, new RegExp(`127\\.0\\.0\\.1:${other.port}.*EADDRINUSE`));
  t.true(readFileSync(to.file).equals(disk));
  t.false(existsSync(`${to.file}.INCOMPLETE`));
});

test('with keys the disk moves inside TLS, and is served so from then on', async (t) => {
  const keys = join(temporaryDirectory(t), 'keys');
  writeFileSync(keys, `alice:${'5a'.repeat(32)}\n`);
  const from = await serve(t);
  const to = await listen(t, ['--tls-psk', keys, '--then-serve', '127.0.0.1:0']);
  const refused = await run(t, ['mirror', '--wait', from.sock, `nbds://127.0.0.1:${to.port}`]);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /TLS with 127\.0\.0\.1/);
  const uri = `nbds://alice@127.0.0.1:${to.port}?tls-psk-file=${keys}`;
  const mirror = await run(t, ['mirror', '--wait', from.sock, uri]);
  t.is(mirror.code, 0, mirror.stderr);
  t.regex(mirror.stderr, /the disk has gone to nbds:/);
  const { port } = (await to.event('serving')).address as { port: number };
  const out = join(to.file, '..', 'out');
  t.is((await run(t, ['read', `nbd://127.0.0.1:${port}`, out])).code, 1);
  t.is((await run(t, ['read', `nbds://alice@127.0.0.1:${port}?tls-psk-file=${keys}`, out])).code, 0);
  t.true(readFileSync(out).equals(disk));
  to.running.child.kill('SIGTERM');
  t.is((await to.running.ended).code, 0);
});

test('a migration that fails to start, or is broken off, is status 1, and the source goes on', async (t) => {
  const from = await serve(t);
  const other = await FakeDestination.start(t, size + 512);
  const refused = await run(t, ['mirror', '--wait', from.sock, `nbd://127.0.0.1:${other.port}`]);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /has 1049088 bytes, this one 1048576/);
  const held = await FakeDestination.start(t, size, holding().sin);
  const waiting = run(t, ['mirror', '--wait', from.sock, `nbd://127.0.0.1:${held.port}`]);
  await held.until(() => held.requests.length > 0);
  t.is(await askControl(from.sock, 'break'), 'stopped');
  const broken = await waiting;
  t.is(broken.code, 1);
  t.regex(broken.stderr, /broken/);
  from.running.child.kill('SIGTERM');
  t.is((await from.running.ended).code, 0);
});

test('L6: a signal while it runs is status 1, for the server and for who waits', async (t) => {
  const from = await serve(t);
  const held = await FakeDestination.start(t, size, holding().sin);
  const waiting = run(t, ['mirror', '--wait', from.sock, `nbd://127.0.0.1:${held.port}`]);
  await held.until(() => held.requests.length > 0);
  from.running.child.kill('SIGTERM');
  t.is((await from.running.ended).code, 1);
  t.is((await waiting).code, 1);
  t.false(held.disconnected);
  t.true(existsSync(from.file));
});

test('listen: a visitor completes nothing; a signal is status 1 and leaves the mark', async (t) => {
  const to = await listen(t);
  await onlyDisconnects({ host: '127.0.0.1', port: to.port }, disk);
  t.true(existsSync(`${to.file}.INCOMPLETE`));
  to.running.child.kill('SIGTERM');
  t.is((await to.running.ended).code, 1);
  t.true(existsSync(`${to.file}.INCOMPLETE`));
});

test('wrong usage is status 2', async (t) => {
  for (const args of [
    ['mirror', 'sock'],
    ['mirror', 'sock', 'http://x'],
    ['mirror', 'sock', 'nbd://x/name'],
    ['mirror', '--pause', '0', 'sock', 'nbd://x'],
    ['listen'],
    ['listen', '--then-serve', 'x', 'image'],
  ])
    t.is((await run(t, args)).code, 2, args.join(' '));
});
