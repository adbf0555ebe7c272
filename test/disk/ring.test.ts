/**
 * Size-limited tracefiles: which packet goes to which file, and that data and index stay alike. Source:
 * relay-behaviour, "Limited stream files"; a count of 0 as the local consumer takes it: numbers without end.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pattern } from '../helpers/bytes.ts';
import { sessionOpen, streamOpen } from '../helpers/frames.ts';
import * as r from '../helpers/requests.ts';
import { indexFrame, type StoreSettings, TestStore } from '../helpers/store.ts';

const directory = `host/s1-${r.creationDate}/ust/uid/0/64-bit`;
const chunk = { session: 1, overrideName: undefined };

function open(
  t: ExecutionContext,
  sizeBytes: bigint,
  count: bigint,
  settings: StoreSettings = {},
): TestStore {
  const store = TestStore.open(t, settings);
  store.accept(
    sessionOpen(),
    { kind: 'chunkOpen', chunk: 0n, creationTimeS: 10n, ...chunk },
    streamOpen({ channelName: 'c_0', tracefileSizeBytes: sizeBytes, tracefileCount: count }),
  );
  return store;
}

const content = (n: number, bytes = 40): Buffer => pattern(bytes, n);

/** One packet, data then index. */
async function packet(store: TestStore, n: number, bytes = 40, paddingSizeBytes = 0): Promise<void> {
  await store.data({ stream: 1, netSeqNum: BigInt(n), content: content(n, bytes), paddingSizeBytes });
  store.accept(indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), bytes + paddingSizeBytes, bytes)));
}

/** What a file with these packets of `bytes` holds, and its index. */
function pair(name: string, numbers: readonly number[], bytes = 40, at = directory): Record<string, Buffer> {
  const records = numbers.map((n, i) => [i * bytes, r.indexFacts(BigInt(n), bytes)] as const);
  return {
    [`${at}/${name}`]: Buffer.concat(numbers.map((n) => content(n, bytes))),
    [`${at}/index/${name}.idx`]: r.indexFile(15, records),
  };
}

/** Ends the stream and the session; the files that are left. */
async function finish(store: TestStore, last: number): Promise<Record<string, Buffer>> {
  store.accept({ kind: 'streamEnd', session: 1, stream: 1, lastNetSeqNum: BigInt(last) });
  await store.streamClosed(1);
  await store.idle();
  store.accept({ kind: 'sessionEnd', session: 1, outcome: 'end' });
  return store.files();
}

const modes: Record<string, StoreSettings> = {
  'at once': {},
  'on a disk that stalls': { pooled: true },
  'with durability packet': { durability: 'packet' },
  'with durability sync, on a disk that stalls': { durability: 'sync', pooled: true },
};

for (const [how, settings] of Object.entries(modes))
  for (const count of [0n, 1n, 2n, 5n])
    test(`${how}: packets two a file into a ring of ${count}: names, order, oldest overwritten`, async (t) => {
      const store = open(t, 100n, count, settings);
      for (let n = 0; n < 15; n += 1) await packet(store, n);
      // Files 0 to 7, two packets each and one in the last.
      const groups = Array.from({ length: 8 }, (_, f) => [2 * f, 2 * f + 1].filter((n) => n < 15));
      const want: Record<string, Buffer> = {};
      for (const [f, numbers] of groups.entries())
        Object.assign(want, pair(`c_0_${count === 0n ? f : f % Number(count)}`, numbers));
      t.deepEqual(await finish(store, 14), want);
      t.deepEqual(store.store.lost, {});
    });

test('a size of 0 means one file without a number, whatever the count', async (t) => {
  const store = open(t, 0n, 3n);
  for (let n = 0; n < 5; n += 1) await packet(store, n);
  t.deepEqual(await finish(store, 4), pair('c_0', [0, 1, 2, 3, 4]));
});

test('padding does not count against the size of the packet that comes, but is in the file', async (t) => {
  const store = open(t, 100n, 2n);
  await packet(store, 0, 40, 20);
  await packet(store, 1, 40, 30);
  await packet(store, 2, 40, 0);
  const files = await finish(store, 2);
  t.is(files[`${directory}/c_0_0`]?.length, 130);
  t.is(files[`${directory}/c_0_1`]?.length, 40);
});

test('a packet larger than the size has a file to itself, and leaves no empty one before it', async (t) => {
  const store = open(t, 100n, 0n);
  await packet(store, 0, 300);
  await packet(store, 1, 40);
  await packet(store, 2, 300);
  t.deepEqual(await finish(store, 2), {
    ...pair('c_0_0', [0], 300),
    ...pair('c_0_1', [1], 40),
    ...pair('c_0_2', [2], 300),
  });
});

test('the ring begins again at 0 in the next chunk', async (t) => {
  const store = open(t, 100n, 2n);
  for (let n = 0; n < 4; n += 1) await packet(store, n);
  store.accept({ kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk });
  store.accept({ kind: 'switch', stream: 1, atPacketSeqNum: 4n, chunk: 1n });
  store.accept({ kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 30n, action: 'moveToCompleted' });
  for (let n = 4; n < 7; n += 1) await packet(store, n);
  const session = `host/s1-${r.creationDate}`;
  const archive = `${session}/archives/19700101T000010+0000-19700101T000030+0000-0/ust/uid/0/64-bit`;
  const current = `${session}/19700101T000020+0000-1/ust/uid/0/64-bit`;
  t.deepEqual(await finish(store, 6), {
    ...pair('c_0_0', [0, 1], 40, archive),
    ...pair('c_0_1', [2, 3], 40, archive),
    ...pair('c_0_0', [4, 5], 40, current),
    ...pair('c_0_1', [6], 40, current),
  });
});

test('packets behind a split that lie in several files of a ring move together to the first file of the next chunk', async (t) => {
  const store = open(t, 100n, 0n);
  await packet(store, 0);
  for (let n = 1; n < 6; n += 1)
    await store.data({ stream: 1, netSeqNum: BigInt(n), content: content(n), paddingSizeBytes: 0 });
  store.accept({ kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk });
  store.accept({ kind: 'switch', stream: 1, atPacketSeqNum: 1n, chunk: 1n });
  store.accept({ kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 30n, action: 'moveToCompleted' });
  for (let n = 1; n < 6; n += 1) store.accept(indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), 40)));
  const session = `host/s1-${r.creationDate}`;
  const archive = `${session}/archives/19700101T000010+0000-19700101T000030+0000-0/ust/uid/0/64-bit`;
  const current = `${session}/19700101T000020+0000-1/ust/uid/0/64-bit`;
  t.deepEqual(await finish(store, 5), {
    ...pair('c_0_0', [0], 40, archive),
    ...pair('c_0_0', [1, 2, 3, 4, 5], 40, current),
  });
});

for (const [how, settings] of Object.entries(modes))
  test(`${how}: indexes that come when their file is overwritten leave the new one alone`, async (t) => {
    const store = open(t, 100n, 1n, settings);
    const all = Array.from({ length: 7 }, (_, n) => ({
      stream: 1,
      netSeqNum: BigInt(n),
      content: content(n),
    }));
    await store.data(...all);
    for (let n = 0; n < 7; n += 1) store.accept(indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), 40)));
    t.deepEqual(await finish(store, 6), pair('c_0_0', [6]));
    t.deepEqual(store.store.lost, {});
  });

test('a data file and an index file of one name always belong together, as seen at every step', async (t) => {
  const store = open(t, 100n, 2n);
  for (let n = 0; n < 12; n += 1) {
    await store.data({ stream: 1, netSeqNum: BigInt(n), content: content(n) });
    const files = store.files(directory);
    for (const name of ['c_0_0', 'c_0_1']) {
      const index = files[`index/${name}.idx`];
      if (index === undefined) continue;
      for (let at = 16; at < index.length; at += 72) {
        const number = Number(index.readBigUInt64BE(at + 64));
        const offset = Number(index.readBigUInt64BE(at));
        t.deepEqual(files[name]?.subarray(offset, offset + 40), content(number), `packet ${n}`);
      }
    }
    store.accept(indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), 40)));
  }
});

for (const count of [1n, 3n])
  test(`a reader in another process never sees half a packet, or another file's, while a ring of ${count} is overwritten`, async (t) => {
    const store = open(t, 20_000n, count);
    const reader = fork(new URL('ring-reader.js', import.meta.url), [
      join(store.outputPath, directory),
      String(count),
    ]);
    t.teardown(() => reader.kill('SIGKILL'));
    await once(reader, 'message');
    let last = -1;
    const seen = once(reader, 'message') as Promise<[{ wrong: string[]; packets: number; files: number }]>;
    let enough = false;
    void seen.then(() => {
      enough = true;
    });
    while (!enough && last < 60_000) {
      last += 1;
      const half = 2000;
      const part = { stream: 1, netSeqNum: BigInt(last), content: Buffer.alloc(4000, last % 251) };
      // Indexes now before, now between, now behind the two halves of the data.
      const index = indexFrame(1, BigInt(last), r.indexFacts(BigInt(last), 4000));
      if (last % 3 === 0) store.accept(index);
      await store.data({ ...part, to: half });
      if (last % 3 === 1) store.accept(index);
      await store.data({ ...part, from: half });
      if (last % 3 === 2) store.accept(index);
      await new Promise(setImmediate);
    }
    const [{ wrong, packets, files }] = await seen;
    t.deepEqual(wrong, []);
    t.log(`${packets} packets of ${files} files, while ${last} were written`);
    await finish(store, last);
  });
