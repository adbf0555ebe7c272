import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { readExactly } from '../../lib/network/read-exactly.ts';
import { readInto } from '../../lib/os/socket-reader.ts';

/** Two ends of one connection; the near one is paused and unread. */
async function pair(t: ExecutionContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const far = connect((server.address() as { port: number }).port, '127.0.0.1');
  const near = await accepted;
  near.on('error', () => undefined);
  far.on('error', () => undefined);
  t.teardown(() => {
    for (const socket of [near, far]) socket.destroy();
    server.close();
  });
  return { near, far };
}

test('so many bytes are read, in whatever pieces they come, and what follows stays', async (t) => {
  const { far, near } = await pair(t);
  const first = readExactly(near, 5, 'peer');
  for (const piece of ['ab', 'c', 'defgh']) {
    far.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is((await first).toString(), 'abcde');
  t.is((await readExactly(near, 3, 'peer')).toString(), 'fgh');
});

test('a connection that ends or breaks before is an error that names the peer', async (t) => {
  const ended = await pair(t);
  ended.far.end('abc');
  await t.throwsAsync(readExactly(ended.near, 5, 'who'), { code: 'MR_ERR_NETWORK_LOST', message: /who/ });
  const broken = await pair(t);
  const reading = readExactly(broken.near, 5, 'who');
  broken.near.destroy();
  await t.throwsAsync(reading, { code: 'MR_ERR_NETWORK_LOST' });
  await t.throwsAsync(readExactly(broken.near, 1, 'who'), { code: 'MR_ERR_NETWORK_LOST' });
});

test('a handshake leaves a socket that can be read into memory of our own', async (t) => {
  const { far, near } = await pair(t);
  far.write('hello');
  t.is((await readExactly(near, 5, 'peer')).toString(), 'hello');
  const memory = Buffer.alloc(100);
  let got = '';
  const arrived = new Promise<void>((resolve) => {
    const moved = readInto(near, {
      buffer: () => memory,
      read(bytesRead, buffer) {
        got += buffer.toString('latin1', 0, bytesRead);
        if (got.length === 11) resolve();
        return true;
      },
    });
    t.teardown(() => moved.destroy());
    moved.resume();
  });
  far.write('transmission'.slice(0, 11));
  await arrived;
  t.is(got, 'transmissio');
});
