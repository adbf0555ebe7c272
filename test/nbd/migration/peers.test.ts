/** Source and destination both ours: what they do beyond flexnbd. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { complete } from '../../fakes/nbd/source/complete.ts';
import { onlyDisconnects } from '../../fakes/nbd/source/only-disconnects.ts';
import { noise } from '../../helpers/bytes.ts';
import { FlakyLink } from '../../helpers/flaky-link.ts';
import { testListener } from '../../helpers/listener.ts';
import { mirrorTo, testSource } from '../../helpers/mirror.ts';
import { test } from '../../helpers/serial.ts';

const mib = 1024 * 1024;
const size = 4 * mib;

test('the disk arrives over several connections, is compared by hash and made durable, and the source knows where it went', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size, { servedAt: 'nbd://disks.example/vm1' });
  await source.mirror.start(mirrorTo(to, { action: 'unlink' }));
  const gone = await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
  t.is(gone.servedAt, 'nbd://disks.example/vm1');
  t.is(source.mirror.handedOver, gone);
  const [connected] = source.mirror.happenings.since(0).filter(({ event }) => event === 'connected');
  t.is(connected?.facts.connections, 2);
  const [done] = source.mirror.happenings.since(0).filter(({ event }) => event === 'done');
  t.is(done?.facts.verifiedBytes, size);
});

test('holes stay holes, and nothing of them is sent', async (t) => {
  const source = await testSource(t, size, { holes: true });
  const to = await testListener(t, size);
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
  t.is(statSync(to.path).blocks * 512, size / 2);
});

test('a destination that was not empty holds zeroes where the source has a hole', async (t) => {
  const source = await testSource(t, size, { holes: true });
  const to = await testListener(t, size, { fill: 0xee });
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  t.true(to.bytes().equals(source.bytes));
});

test('what the destination lost is found by its hash and sent again before the hand-over', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size);
  let spoilt = false;
  // the first block, after it was written and before it is compared
  const forget = to.image.onWrite((offset, length) => {
    if (spoilt || offset > 0 || length < 4096) return;
    spoilt = true;
    setTimeout(() => {
      const fd = openSync(to.path, 'r+');
      writeSync(fd, Buffer.alloc(4096, 0xff), 0, 4096, 0);
      closeSync(fd);
    }, 5);
  });
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 8 * mib }));
  await source.mirror.gone;
  forget();
  t.true(spoilt);
  t.true(to.bytes().equals(source.bytes));
});

test('a mirror whose link is lost goes on where it was: nothing is copied twice', async (t) => {
  const source = await testSource(t, 4 * size);
  const to = await testListener(t, 4 * size);
  const link = await FlakyLink.start(t, to.address);
  await source.mirror.start(mirrorTo(link, { maxBytesPerSecond: 32 * mib }));
  while ((source.mirror.figures()?.sentBytes ?? 0) < 2 * size) await new Promise((r) => setTimeout(r, 5));
  link.cut();
  while (source.mirror.state !== 'pausing') await new Promise(setImmediate);
  await source.write(4096, noise(8192, 9));
  await source.mirror.gone;
  t.true(to.bytes().equals(source.bytes));
  const resumed = source.mirror.happenings.since(0).filter(({ event }) => event === 'resumed');
  t.true(resumed.length >= 1);
  t.true(Number(resumed[0]?.facts.leftBytes) < 3 * size, 'the first half was not sent again');
});

test('where somebody else has written meanwhile, or the listener is another one, it begins from zero', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size, { anyDisconnect: false });
  const link = await FlakyLink.start(t, to.address);
  await source.mirror.start(mirrorTo(link, { maxBytesPerSecond: 8 * mib, retryMs: 300 }));
  while ((source.mirror.figures()?.sentBytes ?? 0) < mib) await new Promise((r) => setTimeout(r, 5));
  link.cut();
  while (source.mirror.state !== 'pausing') await new Promise(setImmediate);
  const { sender } = await import('../../fakes/nbd/source.ts');
  const stranger = await sender(to.address);
  await stranger.write(0, Buffer.alloc(65_536, 0x11));
  await stranger.peer.end();
  await source.mirror.gone;
  t.deepEqual(
    source.mirror.happenings.since(0).filter(({ event }) => event === 'resumed'),
    [],
  );
  t.true(to.bytes().equals(source.bytes));
});

test('a stranger beside a mirror is cut, whatever it says, and the mirror goes on', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size);
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 8 * mib }));
  await onlyDisconnects(to.address, source.bytes);
  await t.throwsAsync(complete(to.address, Buffer.alloc(size)));
  t.false(to.listener.hasControl);
  await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
});

test('two mirrors to one listener: the second is refused', async (t) => {
  const [source, second] = [await testSource(t, size), await testSource(t, size)];
  const to = await testListener(t, size);
  await source.mirror.start(mirrorTo(to, { maxBytesPerSecond: 8 * mib }));
  await t.throwsAsync(second.mirror.start(mirrorTo(to)), { code: 'MR_ERR_NBD_MIRROR_REPLY' });
  await source.mirror.gone;
  t.true(to.bytes().equals(source.bytes));
});

test('to a listener that is no more than flexnbd the same disk comes by the plain protocol', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size, { plain: true });
  await source.mirror.start(mirrorTo(to));
  await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
  const [connected] = source.mirror.happenings.since(0).filter(({ event }) => event === 'connected');
  t.false(connected?.facts.millrace);
});
