import test from 'ava';
import type { ErrorCode } from '../../../lib/errors.ts';
import { listLiveSessions, liveSource } from '../../../lib/relay/live-client/index.ts';
import { SlabPool } from '../../../lib/stage/slab.ts';
import { join, u32, u64 } from '../../helpers/bytes.ts';
import {
  connected,
  fakeLiveRelay,
  index,
  listed,
  type Sayings,
  shown,
} from '../../helpers/fake-live-relay.ts';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import { only } from '../../helpers/read-frames.ts';
import { until } from '../../helpers/relay.ts';
import { streamsSent, usualSession } from '../../helpers/requests.ts';
import { Watch } from '../../helpers/watch.ts';

const { hostname, sessionName } = usualSession;

test('a session is read from its beginning to its end, metadata before data, each packet with its record', async (t) => {
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'] });
  const [first, second] = scene.channels as [bigint, bigint];
  await scene.send(3, first);
  const watch = new Watch(t, { address: scene.live });
  await watch.has('index', 3);
  await scene.send(2, second);
  await scene.send(1, first);
  await watch.has('index', 6);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: scene.packetsOf(first), c_1: scene.packetsOf(second) });
  const [open] = only(watch.frames, 'sessionOpen');
  t.like(open, { hostname, sessionName, liveTimerUs: 1_000_000 });
  t.is(
    Buffer.concat(only(watch.frames, 'metadata').map(({ bytes }) => bytes as Buffer)).toString(),
    metadataText,
  );
  t.true(
    watch.frames.findIndex(({ kind }) => kind === 'metadata') <
      watch.frames.findIndex(({ kind }) => kind === 'data'),
  );
  t.deepEqual(
    only(watch.frames, 'index').map(({ packetSeqNum }) => packetSeqNum !== undefined),
    [true, true, true, true, true, true],
  );
  t.is(only(watch.frames, 'sessionEnd')[0]?.outcome, 'end');
  t.true(watch.count('sync') > 0);
});

test('a session that is not there yet is waited for, or not, as is wanted', async (t) => {
  const scene = await LiveScene.open(t);
  const address = scene.live;
  const other = { address, sessionName: 'later' };
  const end = new Watch(t, { ...other, missing: 'end' } as never);
  t.deepEqual(await end.outcome, { kind: 'end' });
  t.is(end.frames.length, 0);
  const fail = await new Watch(t, { ...other, missing: 'fail' } as never).outcome;
  t.is(fail.kind === 'error' && fail.error.code, 'MR_ERR_LIVE_SESSION');
  const waiting = new Watch(t, other as never);
  const later = await LiveScene.on(t, scene.relay, { producer: { sessionName: 'later' } });
  await later.send(2);
  await waiting.has('index', 2);
  await later.finish();
  t.deepEqual(await waiting.outcome, { kind: 'end' });
  t.deepEqual(waiting.packets, { c_0: later.packetsOf() });
});

test('from now on: what was sent before a viewer came is left out', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(3);
  const watch = new Watch(t, { address: scene.live, seek: 'last' });
  await until(
    () => scene.relay.status().sessions.length > 0 && watch.count('streamOpen') > 0,
    () => 'not attached',
  );
  await scene.send(2);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: scene.packetsOf().slice(3) });
});

test('streams that come later are read from their beginning', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(1);
  const watch = new Watch(t, { address: scene.live });
  await watch.has('index', 1);
  const late = await scene.producer.addStream('late_0');
  await scene.producer.ok(streamsSent());
  scene.sent.set(late, []);
  await scene.send(2, late);
  await watch.has('index', 3);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets.late_0, scene.packetsOf(late));
});

const opening: Sayings = {
  1: () => connected(),
  2: () =>
    join(u32(1), listed(7, sessionName).fill(Buffer.from(`${hostname}\0`), 20, 20 + hostname.length + 1)),
  8: () => u32(1),
  3: () => join(u32(1), u32(2), shown(1, 'c_0'), shown(2, 'metadata', true)),
  6: () => join(u64(0), u32(2)),
  7: () => join(u32(1), u32(0)),
  9: () => u32(1),
};

interface Refusal {
  name: string;
  sayings: Sayings;
  code: ErrorCode;
}

const refusals: readonly Refusal[] = [
  { name: 'speaks version 3', sayings: { 1: () => connected(13, 3) }, code: 'MR_ERR_LIVE_VERSION' },
  { name: 'has another viewer', sayings: { 3: () => join(u32(2), u32(0)) }, code: 'MR_ERR_LIVE_SESSION' },
  {
    name: 'says that it is not live',
    sayings: { 3: () => join(u32(4), u32(0)) },
    code: 'MR_ERR_LIVE_SESSION',
  },
  { name: 'refuses to seek', sayings: { 3: () => join(u32(5), u32(0)) }, code: 'MR_ERR_LIVE_SESSION' },
  { name: 'has no viewer session', sayings: { 8: () => u32(2) }, code: 'MR_ERR_LIVE_REPLY' },
  { name: 'lists four billion sessions', sayings: { 2: () => u32(0xffff_ffff) }, code: 'MR_ERR_WIRE_LONG' },
  {
    name: 'has more metadata than any trace',
    sayings: { 6: () => join(u64(2n ** 40n), u32(1)) },
    code: 'MR_ERR_LIVE_REPLY',
  },
  { name: 'says nothing', sayings: { 1: () => undefined }, code: 'MR_ERR_NETWORK_LOST' },
  { name: 'says nothing to a list', sayings: { 2: () => undefined }, code: 'MR_ERR_NETWORK_LOST' },
  { name: 'hangs up at once', sayings: { 1: () => 'close' }, code: 'MR_ERR_NETWORK_LOST' },
];

for (const { name, sayings, code } of refusals)
  test(`a relay that ${name} ends the source with one error: ${code}`, async (t) => {
    const address = await fakeLiveRelay(t, { ...opening, ...sayings });
    const watch = new Watch(t, {
      address,
      replyMs: name.startsWith('says nothing') ? 200 : 20_000,
      reconnectMs: 0,
    });
    const outcome = await watch.outcome;
    t.is(outcome.kind === 'error' && outcome.error.code, code);
  });

test('every status of an index is understood: retry, inactive, ok, hang-up', async (t) => {
  const said = [
    index(2),
    index(5, { end: 50 }),
    index(5, { end: 40 }),
    index(1, { bytes: 8, begin: 60, end: 70 }),
    index(5, { end: 90 }),
    index(3),
  ];
  let isOver = false;
  let metadata = [join(u64(4), u32(1), Buffer.from('text'))];
  const address = await fakeLiveRelay(t, {
    ...opening,
    4: () => {
      const next = said.shift() as Buffer;
      isOver = said.length === 0;
      return next;
    },
    5: () => join(u32(1), u32(8), u32(0), Buffer.from('01234567')),
    6: () => {
      const [next = join(u64(0), u32(2))] = metadata;
      metadata = [];
      return next;
    },
    7: () => join(u32(isOver ? 4 : 1), u32(0)),
  });
  const watch = new Watch(t, { address });
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: [Buffer.from('01234567')] });
  t.deepEqual(
    only(watch.frames, 'inactive').map(({ timestampEndCycles }) => timestampEndCycles),
    [50n, 90n],
  );
  const [record] = only(watch.frames, 'index');
  t.is(record?.timestampBeginCycles, 60n);
});

test('a packet that the relay has not got any more is lost, with what was announced of it', async (t) => {
  const said = [index(1, { bytes: 8, begin: 1, end: 2 }), index(3)];
  let metadata = [join(u64(4), u32(1), Buffer.from('text'))];
  const address = await fakeLiveRelay(t, {
    ...opening,
    4: () => said.shift() as Buffer,
    5: () => join(u32(3), u32(0), u32(0)),
    6: () => {
      const [next = join(u64(0), u32(2))] = metadata;
      metadata = [];
      return next;
    },
    7: () => join(u32(said.length === 0 ? 4 : 1), u32(0)),
  });
  const watch = new Watch(t, { address });
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.is(only(watch.frames, 'lost')[0]?.index?.packetSizeBits, 64n);
});

test('a list is of sessions, whatever number of consumer daemons they have', async (t) => {
  const entries = [
    listed(1, 'both', { clients: 1, streams: 3 }),
    listed(2, 'old', { timer: 0, streams: 5 }),
    listed(3, 'both', { streams: 2 }),
  ];
  const address = await fakeLiveRelay(t, { 1: () => connected(), 2: () => join(u32(3), ...entries) });
  t.deepEqual(await listLiveSessions({ address }), [
    {
      hostname: 'host',
      sessionName: 'both',
      liveTimerUs: 1_000_000,
      clients: 1,
      streams: 5,
      traceFormat: 'ctf-1.8',
    },
    { hostname: 'host', sessionName: 'old', liveTimerUs: 0, clients: 0, streams: 5, traceFormat: 'ctf-1.8' },
  ]);
});

test('a source that nobody wants any more lets go of its connection and its slabs', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const pool = new SlabPool({ slabBytes: 1024, slabs: 1 });
  const source = liveSource({ address: scene.live, hostname, sessionName, pool });
  source.on('data', () => undefined);
  await until(
    () => pool.inUse > 0,
    () => 'no slab is lent',
  );
  const closed = new Promise((resolve) => source.once('close', resolve));
  source.destroy();
  await closed;
  t.is(pool.waiting, 0);
  await scene.finish();
});
