import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Image, type ImageOptions } from '../../lib/disk/image.ts';
import { noise, random } from '../helpers/bytes.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { toldBy } from '../helpers/told.ts';

const mib = 1024 * 1024;

async function open(t: ExecutionContext, sizeBytes: number, options: ImageOptions = {}): Promise<Image> {
  const path = join(temporaryDirectory(t), 'image');
  const image = new Image(path, { createBytes: sizeBytes, ...options });
  t.teardown(() => image.close());
  await image.mapped;
  return image;
}

async function write(image: Image, bytes: Buffer, offset: number): Promise<void> {
  await image.write(bytes, 0, bytes.length, offset);
}

const allocatedBytes = (image: Image): number => statSync(image.path).blocks * 512;

test('what is written is read, at once and later, and lies in the file', async (t) => {
  const image = await open(t, mib);
  const bytes = noise(10_000, 1);
  await write(image, bytes, 5000);
  const back = Buffer.alloc(10_000);
  t.true(image.readNow(back, 0, back.length, 5000));
  t.deepEqual(back, bytes);
  back.fill(0);
  await image.read(back, 0, back.length, 5000);
  t.deepEqual(back, bytes);
  await image.flush();
  t.deepEqual(readFileSync(image.path).subarray(5000, 15_000), bytes);
});

test('writers that are held wait, in order, and readers behind them do not; settling waits for them', async (t) => {
  const image = await open(t, mib);
  await write(image, noise(4096, 1), 0);
  const letGo = image.hold();
  const order: string[] = [];
  const did = (what: string) => () => void order.push(what);
  const changes = [
    write(image, noise(4096, 2), 0).then(did('write')),
    image.zero(0, 4096).then(did('zero')),
    image.trim(0, 4096).then(did('trim')),
  ];
  const told: number[] = [];
  t.teardown(image.onWrite((offset) => void told.push(offset)));
  const settled = image.settle().then(() => t.is(told.length, 3));
  const back = Buffer.alloc(4096);
  await image.read(back, 0, back.length, 0);
  t.true(back.equals(noise(4096, 1)));
  t.deepEqual(order, []);
  letGo();
  letGo();
  await Promise.all([...changes, settled]);
  t.deepEqual(order, ['write', 'zero', 'trim']);
  // nobody is held any more
  await write(image, noise(4096, 3), 0);
});

test('zeroes onto a hole keep it, zeroes over data are written, and only blocks with data are allocated', async (t) => {
  const image = await open(t, 4 * mib);
  await write(image, Buffer.alloc(mib), 0);
  t.is(allocatedBytes(image), 0);
  await write(image, noise(4096, 2), 8192);
  await write(image, Buffer.alloc(4096), 8192);
  await image.flush();
  t.is(allocatedBytes(image), 4096);
  t.true(readFileSync(image.path).every((byte) => byte === 0));

  const one = Buffer.alloc(10_001);
  one[7000] = 1;
  await write(image, one, 2 * mib + 1);
  await image.flush();
  t.is(allocatedBytes(image), 8192);
  t.deepEqual(readFileSync(image.path).subarray(2 * mib + 1, 2 * mib + 10_002), one);
});

test('zeroing gives space back unless it is to be kept, and reads as zeroes either way', async (t) => {
  const image = await open(t, mib);
  await write(image, noise(65_536, 3), 0);
  await image.flush();
  t.is(allocatedBytes(image), 65_536);
  await image.zero(0, 32_768);
  t.is(allocatedBytes(image), 32_768);
  await image.zero(0, 16_384, { noHole: true });
  await image.trim(49_152, 16_384);
  t.is(allocatedBytes(image), 32_768);
  t.true(
    readFileSync(image.path)
      .subarray(0, 32_768)
      .every((byte) => byte === 0),
  );
  t.deepEqual(await image.extents(0, mib, 100), [
    { lengthBytes: 16_384, hole: false },
    { lengthBytes: 16_384, hole: true },
    { lengthBytes: 16_384, hole: false },
    { lengthBytes: mib - 49_152, hole: true },
  ]);
  await image.flush();
});

test('extents are the same with a map and by asking the file system, and never more than asked for', async (t) => {
  const image = await open(t, mib);
  for (const offset of [0, 65_536, 131_072]) await write(image, noise(4096, offset), offset);
  const path = image.path;
  const mapped = await image.extents(0, mib, 100);
  t.is(mapped.length, 6);
  t.is((await image.extents(0, mib, 2)).length, 2);
  await image.close();
  const asking = new Image(path);
  t.teardown(() => asking.close());
  const found = asking.extents(0, mib, 100);
  t.is(asking.allocationMap.state, 'building');
  t.deepEqual(await found, mapped);
});

test('every change is told when it is in the file, with its range', async (t) => {
  const image = await open(t, mib);
  const heard: [number, number][] = [];
  const forget = image.onWrite((offset, length) => {
    heard.push([offset, length]);
  });
  await write(image, noise(100, 1), 7);
  await write(image, noise(mib / 2, 1), 4096);
  await image.zero(4096, 4096);
  await image.trim(8192, 4096);
  forget();
  await write(image, noise(1, 1), 0);
  t.deepEqual(heard, [
    [7, 100],
    [4096, mib / 2],
    [4096, 4096],
    [8192, 4096],
  ]);
});

test('overlapping requests of any kind leave what some order of them leaves', async (t) => {
  const image = await open(t, mib);
  const next = random(4);
  const model = Buffer.alloc(mib);
  const work: Promise<void>[] = [];
  for (let i = 0; i < 300; i += 1) {
    const offset = next() % (mib - 400_000);
    // more than a piece goes through the thread pool
    const length = 1 + (next() % (i % 7 === 0 ? 400_000 : 20_000));
    if (i % 5 === 0) {
      work.push(image.zero(offset, length, { noHole: i % 2 === 0 }));
      model.fill(0, offset, offset + length);
    } else {
      const bytes = noise(length, i);
      const done = image.write(bytes, 0, length, offset);
      if (done !== undefined) work.push(done);
      bytes.copy(model, offset);
    }
  }
  await Promise.all(work);
  t.deepEqual(readFileSync(image.path), model);
  for (let at = 0; at < mib; ) {
    const [extent] = await image.extents(at, mib - at, 1);
    const { lengthBytes, hole } = extent as { lengthBytes: number; hole: boolean };
    if (hole) t.true(model.subarray(at, at + lengthBytes).every((byte) => byte === 0));
    at += lengthBytes;
  }
});

test('L22: bytes behind the last whole sector are not served, and that is told', async (t) => {
  const told = toldBy(t, 'disk:image-tail');
  const image = await open(t, 1535);
  t.is(image.sizeBytes, 1024);
  t.true(told.some(({ text }) => text.includes(image.path)));
  t.is((await open(t, 1535, { sectorBytes: 1 })).sizeBytes, 1535);
});

test('an image that shrinks gives an error for what is gone, and nothing else', async (t) => {
  const image = await open(t, mib);
  await write(image, noise(4096, 1), 0);
  truncateSync(image.path, 8192);
  const back = Buffer.alloc(8192);
  await image.read(back, 0, 8192, 0);
  t.false(image.readNow(back, 0, 4096, 65_536));
  await t.throwsAsync(image.read(back, 0, 8192, 4096), { code: 'MR_ERR_IMAGE_SHORT' });
  t.deepEqual(await image.extents(0, 4096, 4), [{ lengthBytes: 4096, hole: false }]);
});

test('an image grows while it is open, with its holes known; it never shrinks', async (t) => {
  const image = await open(t, mib);
  await write(image, noise(4096, 1), 0);
  t.false(image.grow());
  truncateSync(image.path, 2 * mib);
  writeFileSync(image.path, noise(4096, 5), { flag: 'r+' });
  t.true(image.grow());
  t.is(image.sizeBytes, 2 * mib);
  await image.mapped;
  t.deepEqual(await image.extents(0, 2 * mib, 9), [
    { lengthBytes: 4096, hole: false },
    { lengthBytes: 2 * mib - 4096, hole: true },
  ]);
  truncateSync(image.path, mib);
  t.false(image.grow());
  t.is(image.sizeBytes, 2 * mib);
});

test('one program at a time may change an image, readers share it', async (t) => {
  const path = join(temporaryDirectory(t), 'image');
  const writer = new Image(path, { createBytes: mib });
  t.throws(() => new Image(path), { code: 'MR_ERR_IMAGE_IN_USE' });
  t.throws(() => new Image(path, { readOnly: true }), { code: 'MR_ERR_IMAGE_IN_USE' });
  await writer.close();
  const readers = [new Image(path, { readOnly: true }), new Image(path, { readOnly: true })];
  t.throws(() => new Image(path), { code: 'MR_ERR_IMAGE_IN_USE' });
  for (const reader of readers) await reader.close();
});

test('what is no image is refused with its path', (t) => {
  const directory = temporaryDirectory(t);
  for (const path of [join(directory, 'absent'), directory, '/dev/null'])
    t.throws(() => new Image(path), { code: 'MR_ERR_IMAGE_OPEN', message: new RegExp(path) });
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  t.throws(() => new Image(join(directory, 'fifo')), { code: 'MR_ERR_IMAGE_OPEN' });
});

test('L3: without native calls an image is read, written, zeroed and flushed, with one warning', async (t) => {
  const child = fork(new URL('image-child.js', import.meta.url), [join(temporaryDirectory(t), 'image')], {
    env: { ...process.env, MILLRACE_NO_NATIVE: '1' },
  });
  const [found] = (await once(child, 'message')) as [unknown];
  t.deepEqual(found, {
    same: true,
    state: 'unknown',
    extents: [{ lengthBytes: mib, hole: false }],
    fast: 'MR_ERR_IMAGE_SLOW_ZERO',
    told: ['os:no-locks', 'disk:no-allocation-map'],
  });
});
