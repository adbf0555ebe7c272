/** Metadata files: whole commands, regenerations and rotations, also while writes are under way. */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { MetadataWriter } from '../../lib/disk/metadata-writer.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { sessionOpen, streamOpen } from '../helpers/frames.ts';
import { until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { type StoreSettings, TestStore } from '../helpers/store.ts';

const session = `host/s1-${r.creationDate}`;
const path = 'ust/uid/0/64-bit/metadata';
const stream = 9;
const chunk = { session: 1, overrideName: undefined };
const locks = openRangeLocks();

function open(t: ExecutionContext, settings: StoreSettings): TestStore {
  const store = TestStore.open(t, settings);
  store.accept(
    sessionOpen(),
    { kind: 'chunkOpen', chunk: 0n, creationTimeS: 10n, ...chunk },
    streamOpen({ stream, channelName: 'metadata' }),
  );
  return store;
}

const writerOf = (store: TestStore): MetadataWriter => store.store.stream(stream) as MetadataWriter;

/** Resolves when so many bytes may be read. */
async function committed(store: TestStore, bytes: number): Promise<void> {
  const now = () => writerOf(store).committedBytes;
  await until(
    () => now() === bytes,
    () => `${now()} of ${bytes} bytes`,
  );
}

async function end(store: TestStore): Promise<Record<string, string>> {
  store.accept({ kind: 'streamEnd', session: 1, stream, lastNetSeqNum: undefined });
  await store.streamClosed(stream);
  await store.idle();
  store.accept({ kind: 'sessionEnd', session: 1, outcome: 'end' });
  return Object.fromEntries(Object.entries(store.files()).map(([name, bytes]) => [name, bytes.toString()]));
}

const modes: Record<string, StoreSettings> = {
  'at once': {},
  'on a disk that stalls': { pooled: true },
  'with durability packet': { durability: 'packet' },
  'with durability sync, on a disk that stalls': { durability: 'sync', pooled: true },
};

for (const [how, settings] of Object.entries(modes)) {
  test(`${how}: a command is committed when it is whole, with its padding`, async (t) => {
    const store = open(t, settings);
    store.metadata(stream, 'one', { paddingSizeBytes: 2 });
    await committed(store, 5);
    store.metadata(stream, 'tw', { last: false });
    await until(
      () => store.store.context.env.bytesInFlight === 0,
      () => 'bytes are in flight',
    );
    t.is(writerOf(store).committedBytes, 5);
    if (locks !== undefined) {
      const fd = openSync(join(store.outputPath, session, path), 'r');
      t.is(locks.query(fd, 'shared', 0, 0)?.startBytes, 5);
    }
    store.metadata(stream, 'o');
    await committed(store, 8);
    t.is(writerOf(store).ledger.metadataBytes, 8);
    t.deepEqual(await end(store), { [`${session}/${path}`]: 'one\0\0two' });
  });

  test(`${how}: half a command at the end is cut and counted`, async (t) => {
    const store = open(t, settings);
    store.metadata(stream, 'one');
    store.metadata(stream, 'tw', { last: false });
    t.deepEqual(await end(store), { [`${session}/${path}`]: 'one' });
    t.like(store.store.lost['unfinished metadata'], { packets: 0 });
  });

  test(`${how}: a regeneration begins an empty file, and whoever has the old one open keeps it`, async (t) => {
    const store = open(t, settings);
    store.metadata(stream, 'the first version, which is long');
    const old = openSync(join(store.outputPath, session, path), 'r');
    store.metadata(stream, 'second', { version: 1 });
    store.metadata(stream, ' and last', { version: 1 });
    await committed(store, 15);
    t.is(readFileSync(old, 'utf8'), 'the first version, which is long');
    t.is(writerOf(store).ledger.metadataBytes, 15);
    t.deepEqual(await end(store), { [`${session}/${path}`]: 'second and last' });
    t.deepEqual(store.store.lost, {});
  });

  test(`${how}: a rotation leaves the whole text behind and begins anew; the chunk goes when its file is closed`, async (t) => {
    const store = open(t, settings);
    store.metadata(stream, 'a text of the old chunk');
    store.accept({ kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk });
    store.accept({ kind: 'switch', stream, atPacketSeqNum: 0n, chunk: 1n });
    store.accept({ kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 30n, action: 'moveToCompleted' });
    store.metadata(stream, 'again');
    t.is(store.store.chunkExists(1, 0n), settings !== modes['at once'], 'a write or a sync is under way');
    await committed(store, 5);
    t.deepEqual(await end(store), {
      [`${session}/archives/19700101T000010+0000-19700101T000030+0000-0/${path}`]: 'a text of the old chunk',
      [`${session}/19700101T000020+0000-1/${path}`]: 'again',
    });
  });

  test(`${how}: a stream in no chunk takes no text, and takes it again in the next`, async (t) => {
    const store = open(t, settings);
    store.metadata(stream, 'one');
    store.accept({ kind: 'switch', stream, atPacketSeqNum: 0n, chunk: undefined });
    t.throws(() => store.metadata(stream, 'two'), { code: 'MR_ERR_RELAY_METADATA' });
    store.accept({ kind: 'chunkDone', session: 1, chunk: 0n, closeTimeS: 30n, action: 'none' });
    store.accept({ kind: 'chunkOpen', chunk: 1n, creationTimeS: 20n, ...chunk });
    store.accept({ kind: 'switch', stream, atPacketSeqNum: 0n, chunk: 1n });
    store.metadata(stream, 'three');
    await committed(store, 5);
    t.is((await end(store))[`${session}/${path}`], 'three');
  });
}
