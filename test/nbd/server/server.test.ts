// Who is let in, who has to go, and what is durable when. The letters are those of nbd-migration, E.
import { statSync, truncateSync } from 'node:fs';
import test from 'ava';
import { AccessList } from '../../../lib/nbd/acl.ts';
import { noise } from '../../helpers/bytes.ts';
import { client, mib, newImage, RawClient, serve } from '../../helpers/nbd.ts';
import { commands, request, simple } from '../../helpers/nbd-bytes.ts';

const nothing = async (raw: RawClient): Promise<number> => (await raw.closed).length;

test('who is not on the list is closed before a byte; a new list sends away who is no longer on it', async (t) => {
  const { port, server } = await serve(t, await newImage(t, mib), {
    style: 'oldstyle',
    access: new AccessList(['10.0.0.0/8']),
  });
  t.is(await nothing(new RawClient(t, port)), 0);
  server.access = new AccessList(['127.0.0.0/8']);
  const raw = new RawClient(t, port);
  await raw.take(152);
  raw.say(request({ type: commands.write, cookie: 5, length: 1000 }), Buffer.alloc(500));
  while (server.status().clients[0]?.inFlight !== 1) await new Promise((resolve) => setImmediate(resolve));
  server.access = new AccessList([], { defaultDeny: true });
  raw.say(Buffer.alloc(500), request({ type: commands.flush, cookie: 6 }));
  t.deepEqual(await raw.closed, simple(5), 'what had begun is answered, what comes behind it is not');
  t.is(await nothing(new RawClient(t, port)), 0);
});

test('L1: shut out, clients finish what they began and get their end, and new ones get nothing', async (t) => {
  const { port, server, stored } = await serve(t, await newImage(t, mib), { style: 'oldstyle' });
  const [idle, busy] = [new RawClient(t, port), new RawClient(t, port)];
  await idle.take(152);
  await busy.take(152);
  busy.say(request({ type: commands.write, cookie: 1, length: 4096 }), noise(2048, 1));
  while (!server.status().clients.some(({ inFlight }) => inFlight === 1))
    await new Promise((resolve) => setImmediate(resolve));
  let isOut = false;
  const out = server.shutOut().then(() => {
    isOut = true;
  });
  t.is(await nothing(idle), 0);
  t.is(await nothing(new RawClient(t, port)), 0);
  t.false(isOut, 'one is at work');
  busy.say(noise(2048, 2));
  t.deepEqual(await busy.closed, simple(1));
  await out;
  t.is(server.clients, 0);
  t.true(stored().subarray(2048, 4096).equals(noise(2048, 2)));
  server.admit();
  const again = new RawClient(t, port);
  t.is((await again.take(152)).length, 152);
});

test('F.11: shut out, a client stuck in the middle of a WRITE is cut after a while', async (t) => {
  const { port, server } = await serve(t, await newImage(t, mib), { style: 'oldstyle' });
  const stuck = new RawClient(t, port);
  await stuck.take(152);
  stuck.say(request({ type: commands.write, length: 4096 }), Buffer.alloc(100));
  while (server.status().clients[0]?.inFlight !== 1) await new Promise((resolve) => setImmediate(resolve));
  await server.shutOut(50);
  t.is(await nothing(stuck), 0);
  t.is(server.clients, 0);
});

test('L2: with a killswitch who leaves replies lying is cut, who takes them is not, nor who is idle', async (t) => {
  const image = await newImage(t, 16 * mib, [[0, noise(mib, 1)]]);
  const { port, server } = await serve(t, image, { style: 'oldstyle', killswitchMs: 400 });
  const [idle, lazy, eager] = [new RawClient(t, port), new RawClient(t, port), new RawClient(t, port)];
  for (const raw of [idle, lazy, eager]) await raw.take(152);
  lazy.socket.pause();
  lazy.say(request({ type: commands.read, length: 16 * mib }));
  while (server.clients === 3) {
    eager.say(request({ type: commands.read, cookie: 2, length: 4096 }));
    await eager.take(16 + 4096);
  }
  t.is(server.clients, 2);
  t.false(idle.isClosed);
  t.false(eager.isClosed);
});

test('F.17: one client more than allowed is closed at once, and let in when another has gone', async (t) => {
  const { port, server } = await serve(t, await newImage(t, mib), { maxClients: 1 });
  const first = new RawClient(t, port);
  await first.take(18);
  t.is(await nothing(new RawClient(t, port)), 0);
  first.socket.destroy();
  while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
  t.is((await new RawClient(t, port).take(18)).length, 18);
});

test('L23: in oldstyle every change is durable before its reply; in newstyle with FUA, FLUSH or when asked for', async (t) => {
  for (const [options, write, flushed] of [
    [{ style: 'oldstyle' }, {}, 1],
    [{}, {}, 0],
    [{}, { fua: true }, 1],
    [{ durable: true }, {}, 1],
  ] as const) {
    const image = await newImage(t, mib);
    let flushes = 0;
    const flush = image.flush.bind(image);
    image.flush = () => {
      flushes += 1;
      return flush();
    };
    const { port } = await serve(t, image, options);
    const disk = await client(t, port);
    await disk.write(noise(4096, 1), 0, 4096, 0, write);
    t.is(flushes, flushed, JSON.stringify([options, write]));
    await disk.flush();
    t.is(flushes, flushed + 1);
  }
});

test('L24: status counts who is alive, and says what each does', async (t) => {
  const { port, server } = await serve(t, await newImage(t, mib, [[0, noise(4096, 1)]]), {
    served: { name: 'x' },
  });
  const disk = await client(t, port);
  await disk.read(Buffer.alloc(4096), 0, 4096, 0);
  await disk.write(Buffer.alloc(512, 1), 0, 512, 0);
  const [status] = server.status().clients;
  t.like(status, { exportName: 'x', bytesRead: 4096, bytesWritten: 512, requests: 2, failed: 0 });
  t.regex(status?.agreed ?? '', /extended headers/);
  const gone = new Promise<void>((resolve) => disk.agreed.socket.once('close', () => resolve()));
  disk.destroy();
  await gone;
  while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(server.status().clients, []);
});

test('a disk that grows is shown with its new size to who comes, who is there keeps the old one', async (t) => {
  const { image, port } = await serve(t, await newImage(t, mib));
  const before = await client(t, port);
  truncateSync(image.path, 2 * mib);
  const after = await client(t, port);
  t.is(before.sizeBytes, mib);
  t.is(after.sizeBytes, 2 * mib);
  const bytes = noise(512, 1);
  await after.write(bytes, 0, 512, 2 * mib - 512);
  await t.throwsAsync(before.write(bytes, 0, 512, mib), { code: 'MR_ERR_NBD_REPLY', message: /ENOSPC/ });
  const back = Buffer.alloc(512);
  await after.read(back, 0, 512, 2 * mib - 512);
  t.true(back.equals(bytes));
});

test('L5, L7: while the map is being built clients are served at once, zeroes are written out, and the end does not wait', async (t) => {
  const extentSource = () => new Promise<never>(() => undefined);
  const image = await newImage(t, mib, [], { extentSource });
  const { port, stored } = await serve(t, image);
  const startMs = performance.now();
  const disk = await client(t, port);
  t.true(performance.now() - startMs < 1000);
  await disk.write(noise(4096, 1), 0, 4096, 4096);
  await disk.write(Buffer.alloc(65_536), 0, 65_536, 131_072);
  t.is(image.allocationMap.state, 'building');
  // both were allocated: nothing is taken for a hole
  t.is(statSync(image.path).blocks * 512, 4096 + 65_536);
  t.true(stored().subarray(4096, 8192).equals(noise(4096, 1)));
  await disk.disconnect();
  await image.close();
  t.is(image.allocationMap.state, 'unknown');
});
