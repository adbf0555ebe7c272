import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { readInto } from '../../lib/os/socket-reader.ts';

/** A connection: the accepted end paused, as the room wants it, and the end that the test writes to. */
async function pair(t: ExecutionContext): Promise<{ accepted: Socket; far: Socket; server: Server }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const accepting = once(server, 'connection');
  const far = connect(port, '127.0.0.1');
  const [accepted] = (await accepting) as [Socket];
  t.teardown(() => {
    far.destroy();
    accepted.destroy();
    server.close();
  });
  return { accepted, far, server };
}

for (const byEvents of [false, true]) {
  const way = byEvents ? 'by events' : 'into our memory';

  test(`${way}: bytes arrive whole and in order in the buffers that were lent`, async (t) => {
    const { accepted, far } = await pair(t);
    const sent = randomBytes(3_000_001);
    const hash = createHash('sha256');
    const memory = Buffer.alloc(70_000);
    let bytes = 0;
    let turn = 0;
    const socket = readInto(
      accepted,
      {
        buffer: () => memory.subarray(0, 1 + ((turn++ * 7919) % 70_000)),
        read: (bytesRead, buffer) => {
          t.is(buffer.buffer, memory.buffer);
          hash.update(buffer.subarray(0, bytesRead));
          bytes += bytesRead;
          return true;
        },
      },
      { byEvents },
    );
    socket.resume();
    far.end(sent);
    await once(socket, 'end');
    t.is(bytes, sent.length);
    t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  });

  test(`${way}: nothing is read before the first resume, nor after a read that returned false`, async (t) => {
    const { accepted, far } = await pair(t);
    let reads = 0;
    let text = '';
    let stopped: () => void = () => undefined;
    const socket = readInto(
      accepted,
      {
        buffer: () => Buffer.alloc(4),
        read: (bytesRead, buffer) => {
          reads += 1;
          text += buffer.toString('latin1', 0, bytesRead);
          stopped();
          return false;
        },
      },
      { byEvents },
    );
    await new Promise<void>((done) => far.write('abcdefghij', () => done()));
    await new Promise(setImmediate);
    t.is(reads, 0);
    for (const expected of ['abcd', 'abcdefgh', 'abcdefghij']) {
      const once = new Promise<void>((done) => {
        stopped = done;
      });
      socket.resume();
      await once;
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
      t.is(text, expected);
    }
    far.end();
    socket.resume();
    await once(socket, 'end');
    t.is(reads, 3);
  });

  test(`${way}: the socket that comes back writes, knows its peer, and half closes`, async (t) => {
    const { accepted, far } = await pair(t);
    const socket = readInto(accepted, { buffer: () => Buffer.alloc(10), read: () => true }, { byEvents });
    socket.resume();
    t.is(socket.remotePort, far.localPort);
    far.end('bye');
    await once(socket, 'end');
    socket.end('answer after the end');
    const [answer] = (await once(far, 'data')) as [Buffer];
    t.is(answer.toString(), 'answer after the end');
  });

  test(`${way}: a reset connection is an error, a destroyed socket reads no more`, async (t) => {
    const reset = await pair(t);
    const lost = readInto(reset.accepted, { buffer: () => Buffer.alloc(10), read: () => true }, { byEvents });
    lost.resume();
    reset.far.resetAndDestroy();
    const [error] = (await once(lost, 'error')) as [NodeJS.ErrnoException];
    t.is(error.code, 'ECONNRESET');

    const ended = await pair(t);
    let reads = 0;
    const socket = readInto(
      ended.accepted,
      {
        buffer: () => Buffer.alloc(1),
        read: () => {
          reads += 1;
          socket.destroy();
          return false;
        },
      },
      { byEvents },
    );
    socket.resume();
    ended.far.write('many bytes');
    await once(socket, 'close');
    t.is(reads, 1);
  });

  test(`${way}: the server waits for the connection when it closes`, async (t) => {
    const { accepted, far, server } = await pair(t);
    const socket = readInto(accepted, { buffer: () => Buffer.alloc(10), read: () => true }, { byEvents });
    socket.resume();
    let closed = false;
    server.close(() => {
      closed = true;
    });
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    t.false(closed);
    far.end();
    await once(socket, 'end');
    socket.end();
    await once(server, 'close');
    t.true(closed);
  });
}

test('this Node reads into our memory: the undocumented way is there', async (t) => {
  const { accepted } = await pair(t);
  const socket = readInto(accepted, { buffer: () => Buffer.alloc(1), read: () => true });
  t.not(socket, accepted);
  t.is(socket.listenerCount('data'), 0);
  socket.destroy();
});
