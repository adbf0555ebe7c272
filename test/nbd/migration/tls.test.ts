/** A mirror inside TLS, to a millrace listener. */
import { randomBytes } from 'node:crypto';
import { tlsUpgrade } from '../../../lib/nbd/client/tls.ts';
import { FakeDestination } from '../../fakes/nbd/destination.ts';
import { noise } from '../../helpers/bytes.ts';
import { FlakyLink } from '../../helpers/flaky-link.ts';
import { testListener } from '../../helpers/listener.ts';
import { mirrorTo, testSource } from '../../helpers/mirror.ts';
import { test } from '../../helpers/serial.ts';

const mib = 1024 * 1024;
const size = 4 * mib;
const key = randomBytes(32);
const tls = { required: true, psk: new Map([['alice', key]]) };
const upgrade = (mine = key) => tlsUpgrade({ hostname: 'localhost', psk: { user: 'alice', key: mine } });

test('inside TLS a disk moves as it does outside, over several connections, and nothing of it can be read on the way', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size, { tls, servedAt: 'nbds://disks.example' });
  const link = await FlakyLink.start(t, to.address);
  const seen: Buffer[] = [];
  link.onBytes = (bytes) => seen.push(bytes);
  await source.mirror.start(mirrorTo(link, { upgrade: upgrade(), action: 'unlink' }));
  const gone = await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
  t.is(gone.servedAt, 'nbds://disks.example');
  const [connected] = source.mirror.happenings.since(0).filter(({ event }) => event === 'connected');
  t.like(connected?.facts, { connections: 2, millrace: true });
  const all = Buffer.concat(seen);
  t.true(all.length > size);
  for (const clear of [
    Buffer.from('NBDMAGIC'),
    source.bytes.subarray(100, 116),
    Buffer.from('disks.example'),
  ])
    t.is(all.indexOf(clear), -1, clear.toString('hex'));
});

test('inside TLS a mirror whose link is lost goes on where it was', async (t) => {
  const source = await testSource(t, 4 * size);
  const to = await testListener(t, 4 * size, { tls });
  const link = await FlakyLink.start(t, to.address);
  await source.mirror.start(mirrorTo(link, { upgrade: upgrade(), maxBytesPerSecond: 32 * mib }));
  while ((source.mirror.figures()?.sentBytes ?? 0) < size) await new Promise((r) => setTimeout(r, 5));
  link.cut();
  while (source.mirror.state !== 'pausing') await new Promise(setImmediate);
  await source.write(4096, noise(8192, 9));
  await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
  t.true(source.mirror.happenings.since(0).some(({ event }) => event === 'resumed'));
});

test('another key, no TLS on one side: that is reported, and who has the key is let in after that', async (t) => {
  const source = await testSource(t, size);
  const to = await testListener(t, size, { tls });
  const wrong = mirrorTo(to, { upgrade: upgrade(randomBytes(32)), helloMs: 500 });
  await t.throwsAsync(source.mirror.start(wrong), { code: 'MR_ERR_NBD_TLS' });
  await t.throwsAsync(source.mirror.start(mirrorTo(to, { helloMs: 200 })), {
    code: 'MR_ERR_NBD_MIRROR_SILENT',
  });
  const plain = await FakeDestination.start(t, size);
  await t.throwsAsync(source.mirror.start(mirrorTo(plain, { upgrade: upgrade(), helloMs: 500 })), {
    code: 'MR_ERR_NBD_TLS',
  });
  t.is(source.mirror.state, 'idle');
  // the listener takes one at a time, and may be about to let go of the last one
  for (let hasStarted = false; !hasStarted; )
    hasStarted = await source.mirror.start(mirrorTo(to, { upgrade: upgrade() })).then(
      () => true,
      () => false,
    );
  await source.mirror.gone;
  await to.listener.completed;
  t.true(to.bytes().equals(source.bytes));
});
