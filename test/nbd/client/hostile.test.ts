// Servers that break the protocol, as bytes built by hand: the client gives up with a reason, whatever was asked fails.
import { createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { NbdClient } from '../../../lib/nbd/client/client.ts';
import { join, u32, u64 } from '../../helpers/bytes.ts';
import { chunk, greeting, optionReply, simple } from '../../helpers/nbd-bytes.ts';

const mib = 1024 * 1024;
const hello = join(Buffer.from('NBDMAGIC'), u64(0x420281861253n), u64(mib), u32(0x0d), Buffer.alloc(124));

/** A server that says these bytes, and more for every request that comes; then it closes, or stays silent. */
async function fake(
  t: ExecutionContext,
  first: Buffer,
  reply?: Buffer,
  { closes = false } = {},
): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(first);
    if (closes) socket.end();
    socket.on('data', () => {
      if (reply !== undefined) socket.write(reply);
    });
    t.teardown(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

const connect = (port: number, options: object = {}): Promise<NbdClient> =>
  NbdClient.connect({ address: { host: '127.0.0.1', port }, exportName: '', handshakeMs: 500, ...options });

const greetings: Readonly<Record<string, readonly [bytes: Buffer, code: string, closes?: boolean]>> = {
  nothing: [Buffer.alloc(0), 'MR_ERR_NBD_SLOW_HANDSHAKE'],
  'the end': [Buffer.alloc(0), 'MR_ERR_NETWORK_LOST', true],
  'another protocol': [Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian'), 'MR_ERR_NBD_PROTOCOL'],
  'no known style': [join(Buffer.from('NBDMAGIC'), u64(7), Buffer.alloc(140)), 'MR_ERR_NBD_PROTOCOL'],
  'half a hello': [hello.subarray(0, 100), 'MR_ERR_NETWORK_LOST', true],
  'a disk of 2^64 bytes': [
    join(hello.subarray(0, 16), u64(2n ** 64n - 1n), hello.subarray(24)),
    'MR_ERR_WIRE_RANGE',
  ],
};

for (const [what, [bytes, code, closes = false]] of Object.entries(greetings))
  test(`a server that greets with ${what} is given up`, async (t) => {
    await t.throwsAsync(connect(await fake(t, bytes, undefined, { closes })), { code });
  });

const options: Readonly<Record<string, readonly [reply: Buffer, code: string]>> = {
  'a reply to another option': [optionReply(77, 1), 'MR_ERR_NBD_PROTOCOL'],
  'a reply of 4 GiB': [join(optionReply(11, 3).subarray(0, 16), u32(0xffffffff)), 'MR_ERR_NBD_PROTOCOL'],
  'no magic': [Buffer.alloc(20), 'MR_ERR_WIRE_VALUE'],
};

for (const [what, [reply, code]] of Object.entries(options))
  test(`a server that answers an option with ${what} is given up`, async (t) => {
    await t.throwsAsync(connect(await fake(t, greeting, reply)), { code });
  });

test('a server without the export says so', async (t) => {
  const server = createServer((socket) => {
    socket.write(greeting);
    let isGreeted = false;
    socket
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => {
        const asked = isGreeted ? bytes : bytes.subarray(4);
        isGreeted = true;
        if (asked.length < 16) return;
        const option = asked.readUInt32BE(8);
        socket.write(
          option === 7
            ? optionReply(7, 0x80000006, Buffer.from('nobody here'))
            : optionReply(option, 0x80000001),
        );
      });
    t.teardown(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  await t.throwsAsync(connect(port, { exportName: 'x' }), {
    code: 'MR_ERR_NBD_REFUSED',
    message: /nobody here/,
  });
});

const replies: Readonly<Record<string, readonly [reply: Buffer, code: string]>> = {
  'a reply to no request': [simple(99), 'MR_ERR_NBD_PROTOCOL'],
  'a wrong magic': [Buffer.alloc(16, 0x67), 'MR_ERR_NBD_PROTOCOL'],
  'a chunk that was not agreed on': [chunk(0, 1, Buffer.alloc(0)), 'MR_ERR_NBD_PROTOCOL'],
  'an error': [simple(1, 28), 'MR_ERR_NBD_REPLY'],
};

for (const [what, [reply, code]] of Object.entries(replies))
  test(`an oldstyle server that answers a READ with ${what}: the READ fails`, async (t) => {
    const disk = await connect(await fake(t, hello, reply));
    t.teardown(() => disk.destroy());
    await t.throwsAsync(disk.read(Buffer.alloc(512), 0, 512, 0), { code });
  });

test('a server that closes in the middle of its data fails the READ, and all that follow', async (t) => {
  const port = await fake(t, hello, undefined);
  const disk = await connect(port);
  const reading = disk.read(Buffer.alloc(512), 0, 512, 0);
  disk.agreed.socket.destroy();
  await t.throwsAsync(reading, { code: 'MR_ERR_NETWORK_LOST' });
  await t.throwsAsync(disk.flush(), { code: 'MR_ERR_NETWORK_LOST' });
  await disk.disconnect();
});

test('a server that falls silent is given up when somebody waits, not before', async (t) => {
  const disk = await connect(await fake(t, hello), { silenceMs: 100 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await t.throwsAsync(disk.read(Buffer.alloc(512), 0, 512, 0), { code: 'MR_ERR_NBD_SILENT' });
});

test('a client is called off while it connects and shakes hands', async (t) => {
  const stop = new AbortController();
  const connecting = connect(await fake(t, Buffer.alloc(0)), { signal: stop.signal, handshakeMs: 60_000 });
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await t.throwsAsync(connecting, { message: 'enough' });
});
