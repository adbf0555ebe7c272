import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import koffi from 'koffi';
import { quickAck, setKeepAlive, setSendTimeout } from '../../lib/os/socket-options.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int option, void *value, void *length)');

/** The option as the kernel has it: [level, option] as numbered by the kernel's headers. */
function read(socket: Socket, level: number, option: number): number {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const value = new Int32Array(1);
  if (getsockopt(fd, level, option, value, new Int32Array([4])) !== 0) throw new Error('getsockopt failed');
  return value[0] as number;
}

const keepAliveOf = (socket: Socket) => ({
  enabled: read(socket, 1, 9),
  idle: read(socket, 6, 4),
  interval: read(socket, 6, 5),
  count: read(socket, 6, 6),
});

async function connected(t: ExecutionContext): Promise<Socket> {
  const server = createServer((far) => far.resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, 'connect');
  return socket;
}

test('keep-alive with times sets exactly these', async (t) => {
  const socket = await connected(t);
  t.true(setKeepAlive(socket, { enabled: true, idleTimeS: 31, probeIntervalS: 7, maxProbeCount: 4 }));
  t.deepEqual(keepAliveOf(socket), { enabled: 1, idle: 31, interval: 7, count: 4 });
  t.true(setKeepAlive(socket, { enabled: false }));
  t.is(keepAliveOf(socket).enabled, 0);
});

test('keep-alive with 0 and -1 leaves the system’s times', async (t) => {
  const socket = await connected(t);
  const before = keepAliveOf(socket);
  t.true(setKeepAlive(socket, { enabled: true, idleTimeS: 0, probeIntervalS: -1 }));
  t.deepEqual(keepAliveOf(socket), { ...before, enabled: 1 });
});

test('the send timeout is the kernel’s user timeout, in milliseconds', async (t) => {
  const socket = await connected(t);
  t.true(setSendTimeout(socket, 1500));
  t.is(read(socket, 6, 18), 1500);
});

test('quick acknowledgements are on after the call', async (t) => {
  const socket = await connected(t);
  t.true(quickAck(socket));
  t.is(read(socket, 6, 12), 1);
});

test('a value that the system refuses is told and reported, a closed socket is only reported', async (t) => {
  const socket = await connected(t);
  const told: string[] = [];
  const note = (message: unknown) => told.push((message as Told).text);
  toldChannel.subscribe(note);
  t.teardown(() => toldChannel.unsubscribe(note));
  t.false(setKeepAlive(socket, { enabled: true, idleTimeS: 1_000_000 }));
  t.deepEqual(told, ['TCP_KEEPIDLE = 1000000 refused: EINVAL']);
  socket.destroy();
  t.false(quickAck(socket));
  t.is(told.length, 1);
});
