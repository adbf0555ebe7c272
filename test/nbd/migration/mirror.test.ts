/** The source against scripted destinations. Numbers in titles are those of nbd-migration, E and F. */
import type { ExecutionContext } from 'ava';
import { mostHolds } from '../../../lib/nbd/migration/pace.ts';
import { reply, types } from '../../fakes/nbd/bytes.ts';
import { closeAfterConnect } from '../../fakes/nbd/destination/close-after-connect.ts';
import { closeAfterHello } from '../../fakes/nbd/destination/close-after-hello.ts';
import { closeMidWrite } from '../../fakes/nbd/destination/close-mid-write.ts';
import { errorOnWrite } from '../../fakes/nbd/destination/error-on-write.ts';
import { hangAfterConnect } from '../../fakes/nbd/destination/hang-after-connect.ts';
import { hangAfterWrite } from '../../fakes/nbd/destination/hang-after-write.ts';
import { helloWrongMagic } from '../../fakes/nbd/destination/hello-wrong-magic.ts';
import { helloWrongSize } from '../../fakes/nbd/destination/hello-wrong-size.ts';
import { holding } from '../../fakes/nbd/destination/holding.ts';
import { replyWrongCookie } from '../../fakes/nbd/destination/reply-wrong-cookie.ts';
import { replyWrongMagic } from '../../fakes/nbd/destination/reply-wrong-magic.ts';
import { FakeDestination, type Seen } from '../../fakes/nbd/destination.ts';
import { noise } from '../../helpers/bytes.ts';
import { isThere, mirrorTo, testSource } from '../../helpers/mirror.ts';
import { test } from '../../helpers/serial.ts';

const mib = 1024 * 1024;
const size = 4 * mib;

/** Which bytes of the disk the writes cover. */
function covered(requests: readonly Seen[], sizeBytes: number): boolean {
  const seen = Buffer.alloc(sizeBytes / 512);
  for (const { type, offset, length } of requests)
    if (type === types.write || type === types.writeZeroes)
      seen.fill(1, offset / 512, (offset + length) / 512);
  return !seen.includes(0);
}

test('L8: all data, the door closed, the file removed, DISC, and nothing behind it', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  const order: string[] = [];
  to.onRequest = ({ type }) => {
    if (type === types.disconnect)
      order.push(`disc ${isThere(source.path)} ${source.door.did.join(' ')} ${source.mirror.state}`);
  };
  await source.mirror.start(mirrorTo(to, { action: 'unlink' }));
  const gone = await source.mirror.gone;
  t.true(gone.unlinked);
  t.deepEqual(order, ['disc false shut gone stop committed']);
  t.is(to.requests.at(-1)?.type, types.disconnect);
  t.is(to.requests.at(-2)?.type, types.flush);
  t.true(covered(to.requests, size));
  t.true(to.image.equals(source.bytes));
  t.is(source.mirror.state, 'done');
  t.is(await source.mirror.break(), 'completed');
});

test('without unlink the file is there when DISC arrives', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.true(to.disconnected);
  t.true(isThere(source.path));
});

test('L12: what clients write meanwhile is at the destination, whatever the moment', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  let writes = 0;
  const writer = async (seed: number): Promise<void> => {
    for (let n = 0; source.door.isOpen; n += 1) {
      const offset = (seed * 4096 * 37 + n * 512 * 1001) % (size - 4096);
      await source.write(offset - (offset % 512), noise(512 * (1 + (n % 8)), n + seed));
      writes += 1;
      await new Promise(setImmediate);
    }
  };
  const writers = [1, 2, 3, 4].map(writer);
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 64 * mib }));
  await source.mirror.gone;
  await Promise.all(writers);
  t.true(writes > 0);
  t.true(to.image.equals(source.bytes));
});

const refusals = [
  ['close_after_connect', closeAfterConnect, 'MR_ERR_NBD_MIRROR_REJECTED'],
  ['hang_after_connect', hangAfterConnect, 'MR_ERR_NBD_MIRROR_SILENT'],
  ['hello_wrong_magic', helloWrongMagic, 'MR_ERR_NBD_MIRROR_REJECTED'],
  ['hello_wrong_size', helloWrongSize, 'MR_ERR_NBD_MIRROR_SIZE'],
] as const;

for (const [name, sin, code] of refusals)
  test(`L15, L17: ${name} is reported, not retried, and the socket is closed; F.4: the source is idle again`, async (t) => {
    const source = await testSource(t, size);
    const to = await FakeDestination.start(t, size, sin);
    await t.throwsAsync(source.mirror.start(mirrorTo(to, { helloMs: 100, retryMs: 1 })), { code });
    t.is(source.mirror.state, 'idle');
    t.is(source.mirror.figures(), undefined);
    t.false(await source.mirror.stop());
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.is(to.connections, 1);
    t.is(to.open, 0);
    t.deepEqual(to.requests, []);
  });

test('nobody at the address is reported', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  to.stop();
  await t.throwsAsync(source.mirror.start(mirrorTo(to)), { code: 'MR_ERR_NBD_MIRROR_CONNECT' });
  t.is(source.mirror.state, 'idle');
});

const retried = [
  ['close_after_hello', closeAfterHello(size, 2)],
  ['close_mid_write', closeMidWrite(3)],
  ['error_on_write', errorOnWrite(2, 5)],
  ['reply_wrong_magic', replyWrongMagic()],
  ['reply_wrong_cookie', replyWrongCookie()],
] as const;

for (const [name, sin] of retried)
  test(`F.2: after ${name} the migration is tried again from zero, and comes to its end`, async (t) => {
    const source = await testSource(t, size);
    const to = await FakeDestination.start(t, size, sin);
    await source.mirror.start(mirrorTo(to));
    await to.until(() => to.connections > 1);
    await source.write(512, noise(4096, 99));
    await source.mirror.gone;
    t.true(to.image.equals(source.bytes));
    const last = to.requests.filter(({ connection }) => connection === to.connections);
    t.true(covered(last, size));
  });

test('a destination that stops answering is given up after the time for requests, and tried again', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size, hangAfterWrite);
  await source.mirror.start(mirrorTo(to, { requestMs: 100 }));
  await to.until(() => to.connections > 1);
  const [retrying] = source.mirror.happenings.since(0).filter(({ event }) => event === 'retrying');
  t.regex(String(retrying?.facts.why), /no progress for 0\.1 s/);
  t.is(await source.mirror.break(), 'stopped');
});

test('a failure in the final stage lets the clients in again', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  let failed = false;
  source.door.gone = async () => {
    if (failed) return;
    failed = true;
    to.cut();
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.deepEqual(source.door.did, ['shut', 'gone', 'open', 'shut', 'gone', 'stop']);
  t.true(to.image.equals(source.bytes));
});

test('L1: from the moment the clients are shut out until they are gone, not a byte is sent', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  let release = (): void => undefined;
  source.door.gone = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  await source.mirror.start(mirrorTo(to));
  while (source.mirror.state !== 'shutting') await new Promise(setImmediate);
  t.false(source.mirror.admits);
  const before = to.requests.length;
  // the last request of a client, answered while the door closes
  source.door.isOpen = true;
  await source.write(4096, noise(4096, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(to.requests.length, before);
  release();
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});

test('L16, F.3: a second mirror is refused, and the first goes on undisturbed', async (t) => {
  const source = await testSource(t, size);
  const held = holding();
  const to = await FakeDestination.start(t, size, held.sin);
  await source.mirror.start(mirrorTo(to));
  await t.throwsAsync(source.mirror.start(mirrorTo(to)), { code: 'MR_ERR_NBD_MIRROR_RUNNING' });
  t.is(to.connections, 1);
  held.release();
  await source.mirror.gone;
  t.is(to.connections, 1);
});

const breakable: ReadonlyArray<readonly [string, (t: ExecutionContext) => Promise<void>]> = [
  [
    'connecting',
    async (t) => {
      const source = await testSource(t, size);
      const to = await FakeDestination.start(t, size, hangAfterConnect);
      const starting = source.mirror.start(mirrorTo(to));
      await to.until(() => to.connections === 1);
      const [how] = await Promise.all([
        source.mirror.break(),
        t.throwsAsync(starting, { code: 'MR_ERR_NBD_MIRROR_BROKEN' }),
      ]);
      t.is(how, 'stopped');
    },
  ],
  [
    'waiting for the map (L20)',
    async (t) => {
      const source = await testSource(t, size, { extentSource: () => new Promise(() => undefined) });
      const to = await FakeDestination.start(t, size);
      await source.mirror.start(mirrorTo(to));
      await new Promise((resolve) => setTimeout(resolve, 50));
      t.is(source.mirror.state, 'waiting');
      t.deepEqual(to.requests, []);
      t.is(await source.mirror.break(), 'stopped');
    },
  ],
  [
    'rate-limited',
    async (t) => {
      const source = await testSource(t, size);
      const to = await FakeDestination.start(t, size);
      await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 1000 }));
      await to.until(() => to.requests.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      t.is(to.requests.length, 1);
      t.is(await source.mirror.break(), 'stopped');
    },
  ],
  [
    'sending',
    async (t) => {
      const source = await testSource(t, size);
      const to = await FakeDestination.start(t, size, holding().sin);
      await source.mirror.start(mirrorTo(to));
      await to.until(() => to.requests.length > 0);
      t.is(await source.mirror.break(), 'stopped');
    },
  ],
  [
    'shutting the clients out',
    async (t) => {
      const source = await testSource(t, size);
      source.door.gone = () => new Promise(() => undefined);
      const to = await FakeDestination.start(t, size);
      await source.mirror.start(mirrorTo(to));
      while (source.mirror.state !== 'shutting') await new Promise(setImmediate);
      t.is(await source.mirror.break(), 'stopped');
      t.true(source.door.isOpen);
    },
  ],
  [
    'between two attempts',
    async (t) => {
      const source = await testSource(t, size);
      const to = await FakeDestination.start(t, size, closeAfterHello(size, 1000));
      await source.mirror.start(mirrorTo(to, { retryMs: 100_000 }));
      while (source.mirror.state !== 'pausing') await new Promise(setImmediate);
      t.is(await source.mirror.break(), 'stopped');
    },
  ],
];

for (const [when, run] of breakable) test(`L18: break works while ${when}`, run);

test('L25: breaks and starts within a second, and the last one comes to its end', async (t) => {
  const source = await testSource(t, size);
  const held = holding();
  const to = await FakeDestination.start(t, size, held.sin);
  t.is(await source.mirror.break(), 'not mirroring');
  for (let n = 1; n <= 3; n += 1) {
    await source.mirror.start(mirrorTo(to));
    t.is(await source.mirror.break(), 'stopped');
    t.is(source.mirror.state, 'idle');
  }
  t.is(await source.mirror.break(), 'not mirroring');
  held.release();
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});

test('F.5: action nothing leaves the source serving, and may be repeated', async (t) => {
  const source = await testSource(t, size);
  for (let n = 0; n < 2; n += 1) {
    const to = await FakeDestination.start(t, size);
    await source.write(n * 512, noise(512, n));
    await source.mirror.start(mirrorTo(to, { action: 'nothing' }));
    while (source.mirror.isMirroring) await new Promise(setImmediate);
    t.true(to.image.equals(source.bytes));
    t.false(to.disconnected);
    t.true(source.door.isOpen);
    t.is(source.mirror.state, 'idle');
  }
});

test('L6: a signal during a migration ends it without DISC, and none starts after it', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size, holding(({ type }) => type === types.flush).sin);
  await source.mirror.start(mirrorTo(to, { action: 'unlink' }));
  await to.until(() => to.requests.some(({ type }) => type === types.flush));
  t.true(await source.mirror.stop());
  await t.throwsAsync(source.mirror.start(mirrorTo(to)), { code: 'MR_ERR_NBD_MIRROR_ENDING' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.false(to.disconnected);
  t.true(isThere(source.path));
  t.is(to.connections, 1);
});

test('L6: a thousand signals at any moment: never DISC after one, never the end without DISC', async (t) => {
  const small = 64 * 1024;
  for (let n = 0; n < 1000; n += 1) {
    const source = await testSource(t, small);
    const to = await FakeDestination.start(t, small);
    const starting = source.mirror.start(mirrorTo(to, { action: 'unlink' })).catch(() => undefined);
    // somewhere in the life of this migration
    for (let turns = (n * 7) % 40; turns > 0; turns -= 1) await new Promise(setImmediate);
    const before = source.mirror.state;
    const cutShort = await source.mirror.stop();
    await starting;
    const handedOver = source.mirror.handedOver !== undefined;
    t.is(cutShort, before !== 'idle' && !handedOver, before);
    t.is(isThere(source.path), !handedOver);
    if (handedOver) await to.until(() => to.disconnected);
    else t.false(to.disconnected);
    to.stop();
    await source.image.close();
  }
});

test('L19: changes are sent first where there are many, and the limit does not count them, so that the copy ends', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 2 * mib, changedBytes: 524_288 }));
  const startMs = performance.now();
  let written = 0;
  // more than the limit, on the part that was copied
  const writer = (async () => {
    for (let n = 0; source.door.isOpen; n += 1) {
      await source.write((n % 16) * 65_536, noise(65_536, n % 5));
      written += 65_536;
      await new Promise(setImmediate);
    }
  })();
  await source.mirror.gone;
  await writer;
  const seconds = (performance.now() - startMs) / 1000;
  t.true(written / seconds > 2 * mib, `${written / seconds} bytes/s were written`);
  t.true(seconds > 1, 'the limit held for the copy');
  const last = to.requests.findIndex(({ type, offset }) => type === types.write && offset + mib === size);
  const early = to.requests.slice(0, last).filter(({ type, offset }) => type === types.write && offset < mib);
  t.true(early.length > 1, 'changes were sent before the copy had come to its end');
  t.true(to.image.equals(source.bytes));
});

test('the limit can be changed while the mirror runs', async (t) => {
  const source = await testSource(t, size);
  const to = await FakeDestination.start(t, size);
  t.false(source.mirror.limit(1000));
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 1000 }));
  await to.until(() => to.requests.length > 0);
  t.is(source.mirror.figures()?.limitBytesPerSecond, 1000);
  t.true(source.mirror.limit(undefined));
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});

test('F.18: a write to what the copy has not reached is sent once', async (t) => {
  const source = await testSource(t, 2 * size);
  const held = holding();
  const to = await FakeDestination.start(t, 2 * size, held.sin);
  await source.mirror.start(mirrorTo(to));
  await to.until(() => to.requests.length > 0);
  await source.write(2 * size - 8192, noise(4096, 3));
  held.release();
  await source.mirror.gone;
  const writes = to.requests.filter(
    ({ type, offset, length }) => type === types.write && offset + length > 2 * size - 8192,
  );
  t.is(writes.length, 1);
  t.true(to.image.equals(source.bytes));
});

test('F.19: holes are zeroed in one request where the destination offers that, and sent where it does not', async (t) => {
  const source = await testSource(t, size, { holes: true });
  await source.image.mapped;
  const plain = await FakeDestination.start(t, size);
  await source.mirror.start(mirrorTo(plain, { action: 'nothing' }));
  while (source.mirror.isMirroring) await new Promise(setImmediate);
  t.true(plain.image.equals(source.bytes));

  const modern = await FakeDestination.start(t, size, { flags: 0x4d });
  await source.mirror.start(mirrorTo(modern));
  await source.mirror.gone;
  const sent = modern.requests.filter(({ type }) => type === types.write);
  t.is(
    sent.reduce((sum, { length }) => sum + length, 0),
    size / 2,
  );
  const zeroed = modern.requests.filter(({ type }) => type === types.writeZeroes);
  t.deepEqual(
    zeroed.map(({ offset, length }) => [offset, length]),
    [[size / 2, size / 2]],
  );
});

test('a destination that offers holes and FLUSH and then does not know them gets zeroes, and no FLUSH', async (t) => {
  const source = await testSource(t, size, { holes: true });
  await source.image.mapped;
  const to = await FakeDestination.start(t, size, {
    flags: 0x4d,
    reply: (peer, { type, cookie }) =>
      peer.write(reply(cookie, type === types.writeZeroes || type === types.flush ? 22 : 0)),
  });
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
  t.is(to.connections, 1);
});

test('F.21: several requests are in flight', async (t) => {
  const source = await testSource(t, size);
  const held = holding();
  const to = await FakeDestination.start(t, size, held.sin);
  await source.mirror.start(mirrorTo(to));
  await to.until(() => to.requests.length >= 4);
  held.release();
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});

test('clients that write faster than the link carries are held back, and the migration ends', async (t) => {
  const source = await testSource(t, size);
  const writes: Array<Promise<void>> = [];
  source.door.gone = () => Promise.all(writes).then(() => undefined);
  const verdicts = (): unknown[] =>
    source.mirror.happenings
      .since(0)
      .filter(({ event }) => event === 'pass')
      .map(({ facts }) => facts.verdict);
  const to = await FakeDestination.start(t, size, {
    async reply(peer, { type, cookie }) {
      // whatever a pass has sent, much has been written behind it when it ends, unless the writer is held back
      if (type === types.flush && source.door.isOpen) {
        const written = source.write(0, Buffer.alloc(mib, writes.length));
        writes.push(written);
        const mayBeHeld = verdicts().includes('hold');
        await (mayBeHeld ? Promise.race([written, new Promise((end) => setTimeout(end, 30))]) : written);
      }
      peer.write(reply(cookie));
    },
  });
  await source.mirror.start(mirrorTo(to, { pause: { pauseMs: 0, mostPauseMs: 0 } }));
  await source.mirror.gone;
  // three passes gain nothing; then each leaves less, unless the disk is so slow that nothing more was written
  const [first, second, third, ...held] = verdicts();
  t.deepEqual([first, second, third], ['again', 'again', 'again']);
  t.is(held.pop(), 'final');
  t.true(held.length >= 1 && held.length <= mostHolds && held.every((verdict) => verdict === 'hold'));
  t.true(to.image.equals(source.bytes));
});

test('L19: clients that outrun the link already during the first copy are held back, and it comes to its end', async (t) => {
  const source = await testSource(t, size);
  const writes: Array<Promise<void>> = [];
  source.door.gone = () => Promise.all(writes).then(() => undefined);
  const to = await FakeDestination.start(t, size, {
    async reply(peer, { offset, cookie }) {
      // for every request that is sent more is changed behind the copy
      if (source.door.isOpen && offset < 2 * mib) {
        const written = source.write(0, Buffer.alloc(2 * mib, writes.length));
        writes.push(written);
        await Promise.race([written, new Promise((end) => setTimeout(end, 10))]);
      }
      peer.write(reply(cookie));
    },
  });
  await source.mirror.start(mirrorTo(to, { changedBytes: mib, pause: { pauseMs: 0, mostPauseMs: 0 } }));
  await source.mirror.gone;
  t.true(to.image.equals(source.bytes));
});
