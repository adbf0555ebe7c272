// Server and client of millrace against each other, in every style of replies; the file is the oracle.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Image } from '../../lib/disk/image.ts';
import { copyDisk } from '../../lib/nbd/copy.ts';
import { noise, pattern, random } from '../helpers/bytes.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { client, mib, newImage, serve } from '../helpers/nbd.ts';

const styles = {
  'extended headers': {},
  'simple replies': { plain: true },
} as const;

for (const [name, options] of Object.entries(styles)) {
  test(`${name}: what is written is read, of any length, and lies in the file`, async (t) => {
    const { port, stored } = await serve(t, await newImage(t, 8 * mib));
    const disk = await client(t, port, options);
    t.is(disk.agreed.extended, name === 'extended headers');
    for (const [length, offset] of [
      [0, 5],
      [1, 0],
      [4096, 4096],
      [262_144, 100_000],
      [3 * mib + 7, 1_000_001],
    ] as const) {
      const bytes = noise(length, length);
      await disk.write(bytes, 0, length, offset);
      const back = Buffer.alloc(length + 2, 7);
      await disk.read(back, 1, length, offset);
      t.true(back.subarray(1, -1).equals(bytes), `${length} at ${offset}`);
      t.true(
        stored()
          .subarray(offset, offset + length)
          .equals(bytes),
      );
      t.is(back[0], 7);
      t.is(back.at(-1), 7);
    }
  });

  test(`${name}: many requests in flight leave what one after the other would`, async (t) => {
    const { port, stored } = await serve(t, await newImage(t, 4 * mib));
    const disk = await client(t, port, options);
    const next = random(9);
    const model = Buffer.alloc(4 * mib);
    const slots = 64;
    // neighbours never overlap, so that any order is right
    const slotBytes = (4 * mib) / slots;
    for (let round = 0; round < 6; round += 1) {
      const work: Promise<unknown>[] = [];
      for (let slot = 0; slot < slots; slot += 1) {
        const offset = slot * slotBytes + (next() % 1000);
        const length = 1 + (next() % (slotBytes - 1000));
        if (slot % 9 === round) {
          work.push(disk.zero(offset, length));
          model.fill(0, offset, offset + length);
        } else if (slot % 3 === 0) {
          const bytes = pattern(length, slot + round);
          work.push(disk.write(bytes, 0, length, offset, { fua: slot % 2 === 0 }));
          bytes.copy(model, offset);
        } else {
          const back = Buffer.alloc(length);
          const expected = Buffer.from(model.subarray(offset, offset + length));
          work.push(
            disk.read(back, 0, length, offset).then(() => t.true(back.equals(expected), `read ${offset}`)),
          );
        }
      }
      await Promise.all(work);
    }
    await disk.flush();
    t.true(stored().equals(model));
  });
}

test('holes are told in reads and in block status, and copies keep them', async (t) => {
  const data = noise(100_000, 1);
  const image = await newImage(t, 64 * mib, [[mib, data]]);
  const { port } = await serve(t, image);
  const disk = await client(t, port);
  const extents = await disk.extents(0, 64 * mib, 10);
  t.deepEqual(extents, [
    { lengthBytes: mib, hole: true },
    { lengthBytes: 102_400, hole: false },
    { lengthBytes: 63 * mib - 102_400, hole: true },
  ]);
  const before = disk.agreed.socket.bytesRead;
  const back = Buffer.alloc(16 * mib, 1);
  await disk.read(back, 0, back.length, 0);
  t.true(back.subarray(mib, mib + data.length).equals(data));
  t.true(back.subarray(mib + data.length).every((byte) => byte === 0));
  t.true(disk.agreed.socket.bytesRead - before < 110_000);

  const path = join(temporaryDirectory(t), 'copy');
  const copy = new Image(path, { createBytes: 64 * mib });
  t.teardown(() => copy.close());
  const steps: number[] = [];
  const done = await copyDisk(disk, copy, {
    isZero: true,
    onProgress: ({ doneBytes }) => steps.push(doneBytes),
  });
  t.deepEqual(done, { doneBytes: 64 * mib, totalBytes: 64 * mib, dataBytes: 102_400 });
  t.is(steps.at(-1), 64 * mib);
  t.true(readFileSync(path).equals(readFileSync(image.path)));
  t.is(copy.allocationMap.allocatedBytes, 102_400);
});

test('a copy to a server makes holes where there was data, and refuses a smaller target', async (t) => {
  const source = await newImage(t, 2 * mib, [[65_536, noise(4096, 2)]]);
  const target = await newImage(t, 2 * mib, [[0, noise(2 * mib, 3)]]);
  const { port, stored } = await serve(t, target);
  await copyDisk(source, await client(t, port));
  t.true(stored().equals(readFileSync(source.path)));
  t.is(target.allocationMap.allocatedBytes, 4096);
  const small = await newImage(t, mib);
  await t.throwsAsync(copyDisk(source, small), { code: 'MR_ERR_NBD_SIZE' });
});

test('an oldstyle server is used by the same client', async (t) => {
  const { port, stored } = await serve(t, await newImage(t, mib), { style: 'oldstyle' });
  const disk = await client(t, port);
  t.is(disk.agreed.style, 'oldstyle');
  t.is(disk.agreed.transmissionFlags, 0x0d);
  const bytes = noise(mib, 4);
  await disk.write(bytes, 0, mib, 0);
  const back = Buffer.alloc(mib);
  await disk.read(back, 0, mib, 0);
  t.true(back.equals(bytes));
  t.true(stored().equals(bytes));
  await disk.zero(4096, 8192);
  t.true(
    stored()
      .subarray(4096, 12_288)
      .every((byte) => byte === 0),
  );
  await disk.flush();
  await t.throwsAsync(client(t, port, { exportName: 'x' }), { code: 'MR_ERR_NBD_REFUSED' });
});

test('the server tells how a session has ended: goodbye, or gone without a word', async (t) => {
  const ends: string[] = [];
  let wake = (): void => undefined;
  const { port } = await serve(t, await newImage(t, mib), {
    onSessionEnd: ({ ending }) => {
      ends.push(ending.how);
      wake();
    },
  });
  const nextEnd = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  for (const leave of ['disconnect', 'destroy'] as const) {
    const disk = await client(t, port);
    const end = nextEnd();
    await disk[leave]();
    await end;
  }
  t.deepEqual(ends, ['disc', 'lost']);
});
