/** The proxy between scripted servers and clients. Source of the rules: nbd-migration, C.9. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Image } from '../../../lib/disk/image.ts';
import { NbdProxy, type ProxyOptions } from '../../../lib/nbd/proxy/proxy.ts';
import { NbdServer } from '../../../lib/nbd/server/server.ts';
import { hello, helloBytes, reply, replyBytes, request, types } from '../../fakes/nbd/bytes.ts';
import { FakeDestination, type Sin } from '../../fakes/nbd/destination.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { freePort } from '../../helpers/free-port.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';

const size = 1024 * 1024;
const cookie = Buffer.from('.MIRROR.');
const anywhere = { host: '127.0.0.1', port: 0 };

/** A server that also reads. */
const reads: Sin = {
  reply(peer, { type, offset, length, cookie: own }) {
    peer.write(
      type === types.read
        ? Buffer.concat([reply(own), pattern(size).subarray(offset, offset + length)])
        : reply(own),
    );
  },
};

async function start(
  t: { teardown(run: () => unknown): void },
  address: { host: string; port: number },
  changes: Partial<ProxyOptions> = {},
): Promise<{ proxy: NbdProxy; address: { host: string; port: number } }> {
  const proxy = await NbdProxy.start({
    listen: anywhere,
    upstream: { address, exportName: '' },
    retryMs: 10,
    ...changes,
  });
  t.teardown(() => proxy.close());
  return { proxy, address: proxy.address as { host: string; port: number } };
}

async function client(address: { host: string; port: number }): Promise<Peer> {
  const peer = await Peer.connect(address);
  await peer.read(helloBytes);
  return peer;
}

test('the hello is the server’s, requests and errors pass, DISC ends the client and keeps the server', async (t) => {
  const to = await FakeDestination.start(t, size, {
    flags: 0x10d,
    reply: (peer, { cookie: own, offset }) => peer.write(reply(own, offset === 512 ? 28 : 0)),
  });
  const { address } = await start(t, to.address);
  const first = await Peer.connect(address);
  t.true((await first.read(helloBytes)).equals(hello(size, 0x0d)));
  t.true(
    (await first.ask(Buffer.concat([request(types.write, 0, 4), Buffer.from('abcd')]), replyBytes)).equals(
      reply(cookie),
    ),
  );
  t.true(
    (await first.ask(Buffer.concat([request(types.write, 512, 4), Buffer.from('efgh')]), replyBytes)).equals(
      reply(cookie, 28),
    ),
  );
  t.true((await first.ask(request(types.flush, 0, 0), replyBytes)).equals(reply(cookie)));
  first.write(request(types.disconnect, 0, 0));
  await first.closed;
  const second = await client(address);
  t.true((await second.ask(request(types.flush, 0, 0), replyBytes)).equals(reply(cookie)));
  t.is(to.connections, 1);
  t.false(to.disconnected);
});

test('a client more waits without a hello until the first has gone', async (t) => {
  const to = await FakeDestination.start(t, size);
  const { address } = await start(t, to.address);
  const first = await client(address);
  const second = await Peer.connect(address);
  await first.ask(request(types.flush, 0, 0), replyBytes);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const waiting = second.read(helloBytes);
  t.is(
    await Promise.race([
      waiting.then(() => 'hello'),
      new Promise((resolve) => setTimeout(resolve, 50, 'nothing')),
    ]),
    'nothing',
  );
  await first.end();
  await waiting;
  t.pass();
});

test('L26: a server that is lost at any step of a request is asked again, from the first byte, and the client sees nothing', async (t) => {
  let sins = 0;
  const to = await FakeDestination.start(t, size, {
    async request(peer, { length }) {
      sins += 1;
      if (sins === 1) {
        // in the middle of the data
        await peer.read(Math.floor(length / 2));
        peer.socket.resetAndDestroy();
        return true;
      }
      return false;
    },
    reply(peer, { cookie: own }) {
      // in the middle of the reply, and with something that is none
      if (sins === 2) peer.socket.end(reply(own).subarray(0, 7));
      else if (sins === 3) peer.write(reply(own, 0, 0x12345678));
      else peer.write(reply(own));
    },
  });
  const { proxy, address } = await start(t, to.address);
  const one = await client(address);
  const data = pattern(300_000, 4);
  const answer = await one.ask(Buffer.concat([request(types.write, 4096, data.length), data]), replyBytes);
  t.true(answer.equals(reply(cookie)));
  t.is(to.connections, 4);
  t.true(to.image.subarray(4096, 4096 + data.length).equals(data));
  t.is(proxy.status().resent, 3);
});

test('a silent server is given up after its time', async (t) => {
  let silent = true;
  const to = await FakeDestination.start(t, size, {
    reply(peer, { cookie: own }) {
      if (!silent) peer.write(reply(own));
      silent = false;
    },
  });
  const { address } = await start(t, to.address, { silenceMs: 100 });
  const one = await client(address);
  t.true((await one.ask(request(types.flush, 0, 0), replyBytes)).equals(reply(cookie)));
  t.is(to.connections, 2);
});

test('a server that is away for a while is waited for', async (t) => {
  const port = await freePort();
  const folder = temporaryDirectory(t);
  const serve = async (): Promise<NbdServer> => {
    const image = new Image(join(folder, 'disk'), { createBytes: size });
    const server = new NbdServer({ listen: [{ host: '127.0.0.1', port }], exports: [{ name: '', image }] });
    await server.start();
    t.teardown(async () => {
      await server.close(0);
      await image.close();
    });
    return server;
  };
  const first = await serve();
  const { address } = await start(t, { host: '127.0.0.1', port });
  const one = await client(address);
  await one.ask(Buffer.concat([request(types.write, 0, 512), pattern(512)]), replyBytes);
  await first.close(0);
  await first.exports[0]?.image.close();
  const asking = one.ask(request(types.flush, 0, 0), replyBytes);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await serve();
  t.true((await asking).equals(reply(cookie)));
});

test('reading ahead: the second half is kept for the next READ, and lost with any other command', async (t) => {
  const to = await FakeDestination.start(t, size, reads);
  const { proxy, address } = await start(t, to.address, { cacheBytes: 4096 });
  const one = await client(address);
  const read = async (offset: number, length: number): Promise<void> => {
    const bytes = await one.ask(request(types.read, offset, length), replyBytes + length);
    t.true(bytes.subarray(0, replyBytes).equals(reply(cookie)));
    t.true(bytes.subarray(replyBytes).equals(pattern(size).subarray(offset, offset + length)));
  };
  await read(0, 1024);
  await read(1024, 512);
  await read(1536, 512);
  t.is(proxy.status().fromCache, 2);
  await read(2048, 1024);
  await one.ask(request(types.flush, 0, 0), replyBytes);
  await read(3072, 1024);
  await read(8192, 8192);
  await read(size - 1024, 1024);
  t.is(proxy.status().fromCache, 2);
  const lengths = to.requests.filter(({ type }) => type === types.read).map(({ length }) => length);
  t.deepEqual(lengths, [2048, 2048, 2048, 8192, 1024]);
});

test('more than 32 MiB, and bytes that begin no request, cost the client its connection without a reply', async (t) => {
  const to = await FakeDestination.start(t, size);
  const { address } = await start(t, to.address);
  for (const bad of [
    request(types.read, 0, 33_554_433),
    request(types.write, 0, 33_554_433),
    request(0, 0, 0, 1),
  ]) {
    const one = await client(address);
    one.write(bad);
    t.is((await one.rest()).length, 0);
  }
  t.deepEqual(to.requests, []);
});

test('a proxy that cannot reach its server, or has no place to listen, does not start', async (t) => {
  const port = await freePort();
  await t.throwsAsync(start(t, { host: '127.0.0.1', port }), { code: 'MR_ERR_NETWORK_DIAL' });
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const to = await FakeDestination.start(t, size);
  const listen = { host: '127.0.0.1', port: (taken.address() as { port: number }).port };
  await t.throwsAsync(start(t, to.address, { listen }), { code: 'MR_ERR_NETWORK_LISTEN' });
});
