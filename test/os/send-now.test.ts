import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { sendNow } from '../../lib/os/send-now.ts';

/** Two ends of a connection; nobody reads the far one before it is asked to. */
async function pair(t: ExecutionContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection');
  const far = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [near] = (await accepting) as [Socket];
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

async function read(far: Socket, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of far.iterator({ destroyOnReturn: false })) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length >= bytes) break;
  }
  return Buffer.concat(parts);
}

test('what the kernel takes is sent, what waits in the socket is never overtaken, and together it is everything', async (t) => {
  const { near, far } = await pair(t);
  const bytes = Buffer.allocUnsafeSlow(20_000_000);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);
  t.is(sendNow(near, bytes, 4, 1000), 996, 'an empty socket takes it');
  let at = 1000 + sendNow(near, bytes, 1000, bytes.length);
  t.true(at < bytes.length, 'the rest has to wait');
  near.write(bytes.subarray(at, at + 100_000));
  at += 100_000;
  t.is(sendNow(near, bytes, at, bytes.length), 0, 'others wait already');
  near.write(bytes.subarray(at));
  t.true((await read(far, bytes.length - 4)).equals(bytes.subarray(4)));
  t.is(near.writableLength, 0);
  t.is(sendNow(near, bytes, 0, 8), 8, 'again when it is empty');
});

test('a connection that has ended, or broken, takes nothing', async (t) => {
  const { near, far } = await pair(t);
  const bytes = Buffer.allocUnsafeSlow(10);
  near.on('error', () => {});
  const closed = new Promise((resolve) => near.on('close', resolve));
  far.resetAndDestroy();
  await closed;
  t.is(sendNow(near, bytes, 0, 10), 0);
  const other = await pair(t);
  other.near.end();
  t.is(sendNow(other.near, bytes, 0, 10), 0);
});
