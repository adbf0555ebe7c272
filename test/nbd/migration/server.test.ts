/** Source and its server together, clients included. Numbers in titles are those of nbd-migration, E and F. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { helloBytes, reply, replyBytes, request, types } from '../../fakes/nbd/bytes.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { slow } from '../../fakes/nbd/destination/slow.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { pattern, random } from '../../helpers/bytes.ts';
import { testListener } from '../../helpers/listener.ts';
import { mirrorTo } from '../../helpers/mirror.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';
import { servedSource } from '../../helpers/served-source.ts';

const size = 256 * 1024;

const writeOf = (offset: number, bytes: Buffer): Buffer =>
  Buffer.concat([request(types.write, offset, bytes.length), bytes]);

async function client(address: { host: string; port: number }): Promise<Peer> {
  const peer = await Peer.connect(address);
  await peer.read(helloBytes);
  return peer;
}

test('L1: in the final stage who is connected gets EOF, who connects gets EOF and no byte, and nothing was sent before that', async (t) => {
  const source = await servedSource(t, size);
  let flushes = 0;
  // the flush of the pass is answered, the one of the final stage is held
  const held = holding(({ type }) => {
    if (type === types.flush) flushes += 1;
    return flushes > 1;
  });
  const to = await FakeDestination.start(t, size, held.sin);
  const clientsWhenSent: number[] = [];
  to.onRequest = () => {
    if (!source.server.admits) clientsWhenSent.push(source.server.clients);
  };
  const idle = await client(source.address);
  await source.mirror.start(mirrorTo(to));
  await to.until(() => held.held === 1);
  t.false(source.server.admits);
  t.is((await idle.rest()).length, 0);
  for (let n = 0; n < 5; n += 1) t.is((await (await Peer.connect(source.address)).rest()).length, 0);
  held.release();
  await source.mirror.gone;
  await t.throwsAsync(Peer.connect(source.address), { code: 'ECONNREFUSED' });
  t.true(clientsWhenSent.length > 0);
  t.true(clientsWhenSent.every((clients) => clients === 0));
});

test('L1: an idle client is let go within a second, however slow the destination', async (t) => {
  const source = await servedSource(t, size);
  const to = await FakeDestination.start(t, size, slow(30));
  const idle = await client(source.address);
  await source.mirror.start(mirrorTo(to));
  while (source.server.admits) await new Promise(setImmediate);
  const startMs = performance.now();
  await idle.rest();
  t.true(performance.now() - startMs < 1000);
  await source.mirror.gone;
});

test('F.11: a client stuck in the middle of a write is waited for a little, then cut; its write was never acknowledged', async (t) => {
  const source = await servedSource(t, size);
  const to = await testListener(t, size);
  // a door that is less patient than the ten seconds of the program
  const shutOut = source.server.shutOut.bind(source.server);
  source.server.shutOut = () => shutOut(200);
  const stuck = await client(source.address);
  stuck.write(writeOf(0, pattern(65_536, 9)).subarray(0, 30_000));
  await stuck.drained();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await source.mirror.start(mirrorTo(to));
  const { pauseMs } = await source.mirror.gone;
  t.true(pauseMs >= 150 && pauseMs < 5000, `${pauseMs} ms`);
  t.is((await stuck.rest()).length, 0);
  await to.listener.completed;
  t.true(to.bytes().equals(readFileSync(source.path)));
});

test('L12: writers with 1 to 32 requests in flight through a hundred migrations: what was acknowledged has arrived', async (t) => {
  const small = 64 * 1024;
  const blocks = small / 512;
  for (let run = 0; run < 100; run += 1) {
    const source = await servedSource(t, small);
    const to = await testListener(t, small, { plain: run % 2 === 0 });
    const next = random(run);
    const acked = new Map<number, number>();
    const depth = 1 + (run % 32);
    const writer = await client(source.address);
    const writing = (async () => {
      const inFlight: Array<[block: number, number: number]> = [];
      for (let number = 1; ; number += 1) {
        const block = next() % blocks;
        if (!inFlight.some(([other]) => other === block)) {
          inFlight.push([block, number]);
          writer.write(writeOf(block * 512, Buffer.alloc(512, number & 0xff)));
        }
        if (inFlight.length < depth) continue;
        const answer = await writer.read(replyBytes);
        const [first, value] = inFlight.shift() as [number, number];
        if (answer.equals(reply(answer.subarray(8)))) acked.set(first, value & 0xff);
        // one that is sent later and never answered may be there as well
        for (const [other] of inFlight) acked.delete(other);
      }
    })().catch(() => undefined);
    await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 4 * 1024 * 1024 }));
    await source.mirror.gone;
    await writing;
    await to.listener.completed;
    const [here, there] = [readFileSync(source.path), to.bytes()];
    t.true(there.equals(here), `run ${run}`);
    for (const [block, value] of acked) t.is(there[block * 512], value, `run ${run}, block ${block}`);
    await to.close();
    await source.server.close(0);
    await source.image.close();
  }
});

test('L3: without an allocation map a disk moves, and moves again', async (t) => {
  const folder = mkdtempSync(join('/dev/shm', 'millrace-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const extentSource = () => Promise.reject(new Error('this file system does not say'));
  const source = await servedSource(t, size, { image: { extentSource }, folder });
  for (let run = 0; run < 2; run += 1) {
    const to = await testListener(t, size);
    const writer = await client(source.address);
    t.is((await writer.ask(writeOf(run * 512, pattern(512, run)), replyBytes)).length, replyBytes);
    t.is((await writer.ask(request(types.flush, 0, 0), replyBytes)).length, replyBytes);
    await source.mirror.start(mirrorTo(to, { action: 'nothing' }));
    while (source.mirror.isMirroring) await new Promise(setImmediate);
    t.true(to.bytes().equals(readFileSync(source.path)));
    // it was shut out, and is let in again
    t.is((await writer.rest()).length, 0);
  }
  t.is(source.image.allocationMap.state, 'unknown');
});

test('the final pause does not wait for clients to hang up', async (t) => {
  const source = await servedSource(t, size);
  const to = await testListener(t, size);
  const lazy = await Peer.connect(source.address);
  lazy.socket.allowHalfOpen = true;
  await lazy.read(helloBytes);
  await source.mirror.start(mirrorTo(to));
  const { pauseMs } = await source.mirror.gone;
  t.true(pauseMs < 500, `${pauseMs} ms`);
});
