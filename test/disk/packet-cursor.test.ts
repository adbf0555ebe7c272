import test, { type ExecutionContext } from 'ava';
import type { PacketCursor } from '../../lib/disk/packet-cursor.ts';
import type { StreamWriter } from '../../lib/disk/stream-writer.ts';
import { pattern } from '../helpers/bytes.ts';
import { until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { indexFrame, type StoreSettings, TestStore } from '../helpers/store.ts';

/** A stream in a store of its own. */
function stream(
  t: ExecutionContext,
  settings: StoreSettings = {},
): { store: TestStore; writer: StreamWriter } {
  const store = TestStore.open(t, settings);
  store.accept(
    {
      kind: 'sessionOpen',
      session: 1,
      hostname: 'vm',
      sessionName: 's1',
      sessiondUuid: '4fd983d1e2674e59beb273be5f2c6231',
      idSessiond: 0n,
      creationTimeS: r.creationTimeS,
      nameHasCreationTime: false,
      basePath: '',
      liveTimerUs: 1000,
      snapshot: false,
      minor: 13,
      traceFormat: 'ctf-1.8',
    },
    { kind: 'chunkOpen', session: 1, chunk: 0n, creationTimeS: r.creationTimeS, overrideName: undefined },
    {
      kind: 'streamOpen',
      session: 1,
      stream: 1,
      channelName: 'c_0',
      path: 'ust',
      tracefileSizeBytes: 0n,
      tracefileCount: 0n,
    },
  );
  t.teardown(async () => {
    store.store.abandonStream(1);
    store.accept({ kind: 'sessionEnd', session: 1, outcome: 'end' });
    await store.idle();
  });
  return { store, writer: store.store.stream(1) as StreamWriter };
}

const packet = (n: number): Buffer => pattern(100 + n, n);

async function send(store: TestStore, n: number): Promise<void> {
  await store.data({ stream: 1, netSeqNum: BigInt(n), content: packet(n) });
  store.accept(indexFrame(1, BigInt(n), r.indexFacts(BigInt(n), packet(n).length)));
}

async function take(cursor: PacketCursor) {
  const { packet: found, error } = await cursor.take();
  return (
    error ?? (found && [found.position, found.record.offsetBytes, Number(found.record.packetSizeBits) / 8])
  );
}

test('a cursor gives out what is committed, in its order, and waits behind it', async (t) => {
  const { store, writer } = stream(t);
  const cursor = writer.stored.open('beginning');
  t.teardown(() => cursor.close());
  t.false(cursor.available);
  let told = 0;
  const unwatch = writer.stored.watch(() => {
    told += 1;
  });
  for (const n of [0, 1, 2]) await send(store, n);
  t.is(told, 3);
  unwatch();
  t.deepEqual(
    [await take(cursor), await take(cursor)],
    [
      [0, 0n, 100],
      [1, 100n, 101],
    ],
  );
  const late = writer.stored.open('last');
  t.teardown(() => late.close());
  t.false(late.available);
  await send(store, 3);
  t.deepEqual(await take(late), [3, 303n, 103]);
  t.is(told, 3);
  cursor.seek(3);
  t.deepEqual(await take(cursor), [3, 303n, 103]);
  t.is(cursor.lostPackets, 0);
  t.false(cursor.available || cursor.atEnd);
});

test('the record of a packet that never came is passed over and counted', async (t) => {
  const { store, writer } = stream(t);
  await send(store, 0);
  const index = indexFrame(1, 1n, r.indexFacts(1n, 101));
  store.accept({ kind: 'lost', stream: 1, netSeqNum: 1n, cause: 'test', index });
  await send(store, 2);
  const cursor = writer.stored.open('beginning');
  t.teardown(() => cursor.close());
  t.deepEqual(
    [await take(cursor), await take(cursor), await take(cursor)],
    [[0, 0n, 100], undefined, [2, 100n, 102]],
  );
  t.is(cursor.lostPackets, 1);
});

test('two cursors have nothing to do with each other, and what none needs is not open', async (t) => {
  const { store, writer } = stream(t);
  for (const n of [0, 1]) await send(store, n);
  const before = store.store.context.env.pool.openFiles;
  const [one, two] = [writer.stored.open('beginning'), writer.stored.open('beginning')];
  await take(one);
  t.deepEqual([await take(two), await take(one), await take(two)].map(String), [
    '0,0,100',
    '1,100,101',
    '1,100,101',
  ]);
  t.is(store.store.context.env.pool.openFiles, before + 1);
  one.close();
  t.is(store.store.context.env.pool.openFiles, before + 1);
  two.close();
  t.is(store.store.context.env.pool.openFiles, before);
});

test('a sync beacon makes durable what it covers, and only then do readers see it', async (t) => {
  const { store, writer } = stream(t, { durability: 'sync' });
  const cursor = writer.stored.open('beginning');
  t.teardown(() => cursor.close());
  await send(store, 0);
  t.false(cursor.available);
  store.accept({ kind: 'sync', session: 1, safe: [{ stream: 1, netSeqNum: 0n }] });
  await until(
    () => cursor.available,
    () => 'nothing',
  );
  t.is(writer.ledger.synced.netSeqNum, 0n);
});
