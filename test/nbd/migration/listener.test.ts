/** The destination against scripted sources, as flexnbd is one. */
import { existsSync } from 'node:fs';
import { incompletePath } from '../../../lib/nbd/migration/listener.ts';
import { badMagic } from '../../fakes/nbd/source/bad-magic.ts';
import { closeMidWrite } from '../../fakes/nbd/source/close-mid-write.ts';
import { complete } from '../../fakes/nbd/source/complete.ts';
import { oneWrite } from '../../fakes/nbd/source/one-write.ts';
import { onlyDisconnects } from '../../fakes/nbd/source/only-disconnects.ts';
import { probes } from '../../fakes/nbd/source/probes.ts';
import { vanishBeforeDisconnect } from '../../fakes/nbd/source/vanish-before-disconnect.ts';
import { writeBeyond } from '../../fakes/nbd/source/write-beyond.ts';
import type { SourceFake } from '../../fakes/nbd/source.ts';
import { sender, writeAll } from '../../fakes/nbd/source.ts';
import { pattern } from '../../helpers/bytes.ts';
import { testListener } from '../../helpers/listener.ts';
import { Peer } from '../../helpers/peer.ts';
import { test } from '../../helpers/serial.ts';

const size = 512 * 1024;
const disk = pattern(size, 3);

test('a whole disk and DISC complete it; the image was marked until then', async (t) => {
  const { listener, address, path, bytes } = await testListener(t, size);
  t.true(existsSync(incompletePath(path)));
  t.false(listener.hasControl);
  await complete(address, disk);
  const received = await listener.completed;
  t.is(received.bytes, size);
  t.true(listener.hasControl);
  t.true(bytes().equals(disk));
  t.false(existsSync(incompletePath(path)));
});

const sins: ReadonlyArray<readonly [name: string, sin: SourceFake]> = [
  ['only_disconnects (F.1)', onlyDisconnects],
  ['bad_magic (F.1)', badMagic],
  ['probes (F.1)', probes],
  ['one_write', oneWrite],
  ['vanish_before_disconnect', vanishBeforeDisconnect],
  ['close_mid_write', closeMidWrite],
  ['write_beyond', writeBeyond],
];

for (const [name, sin] of sins)
  test(`${name} completes nothing, and the next sender may come`, async (t) => {
    const { listener, address, path, bytes } = await testListener(t, size);
    await sin(address, disk);
    // the next one is let in once this one is gone
    for (let done = false; !done; )
      done = await complete(address, disk).then(
        () => true,
        () => false,
      );
    t.is((await listener.completed).bytes, size);
    t.true(bytes().equals(disk));
    t.false(existsSync(incompletePath(path)));
  });

for (const [name, sin] of [sins[0], sins[2], sins[3]] as typeof sins)
  test(`with flexnbd's lax rule ${name} completes it`, async (t) => {
    const { listener, address } = await testListener(t, size, { anyDisconnect: true });
    await sin(address, disk);
    await listener.completed;
    t.pass();
  });

test('what an earlier connection has written does not count (D.6)', async (t) => {
  const { listener, address } = await testListener(t, size);
  const first = await sender(address);
  await writeAll(first, disk.subarray(0, size / 2));
  await first.peer.end();
  const second = await sender(address);
  for (let at = size / 2; at < size; at += 65_536) await second.write(at, disk.subarray(at, at + 65_536));
  second.disconnect();
  await second.peer.closed;
  await new Promise(setImmediate);
  t.false(listener.hasControl);
  t.is(listener.receivedBytes, size / 2);
});

test('one sender at a time: another is closed before a byte of hello', async (t) => {
  const { listener, address } = await testListener(t, size);
  const first = await sender(address);
  const second = await Peer.connect(address);
  t.is((await second.rest()).length, 0);
  await writeAll(first, disk);
  first.disconnect();
  await listener.completed;
});

test('L21: a sender may pause for as long as it likes, in the middle of a request too', async (t) => {
  const { listener, address, bytes } = await testListener(t, size);
  const first = await sender(address);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
  await pause();
  await writeAll(first, disk.subarray(0, 65_536));
  await pause();
  await writeAll(first, disk);
  first.disconnect();
  await listener.completed;
  t.true(bytes().equals(disk));
});

test('a listener that is closed before the end leaves its mark', async (t) => {
  const { address, path, close } = await testListener(t, size);
  const first = await sender(address);
  await first.write(0, disk.subarray(0, 512));
  await close();
  t.true(existsSync(incompletePath(path)));
  await first.peer.closed;
});
