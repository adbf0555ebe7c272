import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MillraceError } from '../../lib/errors.ts';
import { type HealthSocketOptions, serveHealth } from '../../lib/network/health-socket.ts';

function place(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-health-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return join(directory, 'health-1');
}

async function served(t: ExecutionContext, health: () => number, options: HealthSocketOptions = {}) {
  const path = place(t);
  const server = await serveHealth(path, options, health);
  t.teardown(() => server.close());
  return { path, server };
}

/** All that comes back when these pieces are sent one by one; `end`: then our half is ended. */
async function ask(path: string, pieces: readonly Buffer[], end = false): Promise<Buffer> {
  const socket = connect(path);
  const got: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => got.push(bytes));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
  if (end) socket.end();
  await once(socket, 'close');
  return Buffer.concat(got);
}

/** As the host writes numbers. */
const host = (littleEndian: string) => {
  const bytes = Buffer.from(littleEndian, 'hex');
  return endianness() === 'LE' ? bytes : bytes.reverse();
};
const check = host('00000000');

test('the command 0 is answered with the bits in eight bytes, then the connection is over', async (t) => {
  let bits = 0;
  const { path } = await served(t, () => bits);
  t.deepEqual(await ask(path, [check]), host('0000000000000000'));
  bits = 0b10_0110;
  t.deepEqual(await ask(path, [check]), host('2600000000000000'));
});

test('a command may come byte by byte, and more than one is nobody’s business', async (t) => {
  const { path } = await served(t, () => 1);
  const bytes = [...check].map((byte) => Buffer.from([byte]));
  t.deepEqual(await ask(path, bytes), host('0100000000000000'));
  const { length } = await ask(path, [Buffer.concat([check, check])]);
  t.true(length === 8 || length === 0, 'as with lttng-relayd, a reset may overtake the answer');
});

test('another command, or half of one, ends its connection and nothing else', async (t) => {
  const { path } = await served(t, () => 0);
  for (const [piece, end] of [
    [host('01000000'), false],
    [host('ffffffff'), false],
    [Buffer.alloc(3), true],
    [Buffer.alloc(0), true],
  ] as const)
    t.deepEqual(await ask(path, [piece], end), Buffer.alloc(0));
  t.is((await ask(path, [check])).length, 8);
});

test('the socket has the mode and group that were asked for, and goes at the end with those who are connected', async (t) => {
  const groupId = process.getgid?.() ?? 0;
  const { path, server } = await served(t, () => 0, { mode: 0o660, groupId });
  const { mode, gid } = statSync(path);
  t.deepEqual([mode & 0o777, gid], [0o660, groupId]);
  const silent = connect(path);
  await once(silent, 'connect');
  const closed = once(silent, 'close');
  await server.close();
  await closed;
  t.false(existsSync(path));
});

test('a dead socket is replaced; a living one and other files are left alone, which is an error', async (t) => {
  const path = place(t);
  const holder = createServer((socket) => socket.destroy()).listen(path);
  await once(holder, 'listening');
  const error = { instanceOf: MillraceError, code: 'MR_ERR_NETWORK_LISTEN' };
  const taken = await t.throwsAsync(
    serveHealth(path, {}, () => 0),
    error,
  );
  t.regex(taken?.message ?? '', /living process/);
  holder.close();
  writeFileSync(path, 'precious');
  await t.throwsAsync(
    serveHealth(path, {}, () => 0),
    error,
  );
  t.true(lstatSync(path).isFile());
});
