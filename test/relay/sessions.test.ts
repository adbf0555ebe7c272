/** CREATE_SESSION: where a session goes, what is refused, and how many there may be. */

import { pattern } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const date = r.creationDate;
/** A refusal since 2.11: session 0, code 25, no path. */
const refusal = `${'0'.repeat(16)}00000019${'0'.repeat(8)}`;

const places: ReadonlyArray<
  readonly [grouping: 'host' | 'session', facts: Partial<r.SessionFacts>, path: string]
> = [
  ['host', {}, `vm/s1-${date}`],
  ['host', { nameHasCreationTime: true, sessionName: `auto-${date}` }, `vm/auto-${date}`],
  ['host', { basePath: 'a/b' }, 'vm/a/b'],
  ['host', { basePath: '/sub//dir/' }, 'vm/sub/dir'],
  ['session', {}, `s1/vm-${date}`],
  ['session', { basePath: 'a/b' }, `s1/vm-${date}/a/b`],
  ['session', { nameHasCreationTime: true, sessionName: `auto-${date}` }, `auto-${date}/vm-${date}`],
];
for (const [groupOutputBy, facts, path] of places)
  test(`grouped by ${groupOutputBy}, ${JSON.stringify(facts)} goes to ${path}, whose directory exists at once`, async (t) => {
    const relay = await TestRelay.start(t, { groupOutputBy });
    const producer = await Producer.open(t, relay, { ...facts, chunk: undefined });
    t.is(producer.outputPath.replace(/\/+/g, '/').replace(/\/$/, ''), path);
    t.deepEqual(relay.tree(), { [`${path}/`]: null });
  });

const badNames: ReadonlyArray<readonly [what: string, facts: Partial<r.SessionFacts>]> = [
  ['empty session name', { sessionName: '' }],
  ['empty host name', { hostname: '' }],
  ['session name with a leading dot', { sessionName: '.s' }],
  ['host name with a leading dot', { hostname: '..' }],
  ['session name with a slash', { sessionName: 'a/b' }],
  ['absolute session name', { sessionName: '/etc' }],
  ['host name with a slash', { hostname: '../vm' }],
  ['session name longer than the file system takes', { sessionName: 'n'.repeat(245) }],
  ['base path that leads out', { basePath: 'a/../../b' }],
  ['base path that ends in two dots', { basePath: 'x/..' }],
  ['base path with a component longer than the file system takes', { basePath: 'n'.repeat(256) }],
  ['nil sessiond UUID', { sessiondUuid: Buffer.alloc(16) }],
];
for (const [what, facts] of badNames)
  test(`a session with ${what} is refused with 25, then closed: left open it would hang lttng-sessiond`, async (t) => {
    const relay = await TestRelay.start(t);
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(r.createSession(15, facts));
    t.is((await peer.rest()).toString('hex'), refusal);
    await peer.closed;
    t.deepEqual(
      relay.complaints(peer.name).map(({ code, facts: told }) => [code, told.command]),
      [['MR_ERR_RELAY_SESSION', 'createSession']],
    );
    await relay.empty();
    t.deepEqual(relay.tree(), {});
  });

test('a session that names a current chunk which nobody has is refused with 25, then closed', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  await peer.ask(r.version(15), 8);
  peer.write(r.createSession(15, { currentChunkId: 3n }));
  t.is((await peer.rest()).toString('hex'), refusal);
  await peer.closed;
  await relay.empty();
});

test('a consumer that starts later joins the chunk that it names', async (t) => {
  const relay = await TestRelay.start(t);
  const first = await Producer.open(t, relay, { chunk: 3n });
  const late = await Producer.open(t, relay, { currentChunkId: 3n, chunk: undefined });
  t.is(late.outputPath, first.outputPath);
  const stream = await late.addStream('c_0');
  await late.packet(stream, 0n, pattern(10));
  await late.stored(stream, 0n);
  await first.vanish();
  await late.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(relay.tree()[`vm/s1-${date}/${ustPath}/c_0`], pattern(10));
});

const oldNames: ReadonlyArray<Partial<r.SessionFacts>> = [
  { sessionName: '../up' },
  { sessionName: '..' },
  { sessionName: '' },
  { hostname: '../../tmp' },
  { hostname: '' },
];
for (const facts of oldNames)
  test(`a producer before 2.11 that says ${JSON.stringify(facts)} gets the shorter refusal, whatever the grouping`, async (t) => {
    for (const groupOutputBy of ['host', 'session'] as const) {
      const relay = await TestRelay.start(t, { groupOutputBy });
      const peer = await Peer.connect(relay.control);
      await peer.ask(r.version(10), 8);
      peer.write(r.createSession(10, facts));
      t.is((await peer.rest()).toString('hex'), `${'0'.repeat(16)}00000019`);
      await peer.closed;
      await relay.empty();
      t.deepEqual(relay.tree(), {});
    }
  });

test('a second CREATE_SESSION is refused and ends its connection, not the relay', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const other = await Producer.open(t, relay, { sessionName: 's2' });
  producer.control.write(r.createSession(15));
  t.is((await producer.control.rest()).toString('hex'), refusal);
  await producer.control.closed;
  const stream = await other.addStream('c_0');
  await other.packet(stream, 0n, pattern(10));
  await other.stored(stream, 0n);
});

test('a session path of 4096 bytes and more is refused: it does not fit a reply', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  await peer.ask(r.version(15), 8);
  peer.write(r.createSession(15, { basePath: 'd/'.repeat(2047) }));
  t.is((await peer.rest()).toString('hex'), refusal);
  await peer.closed;
  await relay.empty();
  t.deepEqual(relay.tree(), {}, 'no directory was made');
});

test('session ids and stream handles count from 1 over the whole relay and are never used again', async (t) => {
  const relay = await TestRelay.start(t);
  const first = await Producer.open(t, relay);
  const second = await Producer.open(t, relay, { idSessiond: 1n, sessionName: 's2' });
  t.deepEqual([first.sessionId, second.sessionId], [1n, 2n]);
  t.deepEqual([await first.addStream('c_0'), await second.addStream('c_0')], [1n, 2n]);
  await second.ok(r.closeStream(2n, r.noPacket));
  await first.vanish();
  const third = await Producer.open(t, relay, { idSessiond: 2n, sessionName: 's3' });
  t.deepEqual([third.sessionId, await third.addStream('c_0')], [3n, 3n]);
});

test('two sessions of one sessiond and one of another are stored apart, chunk 0 of each is its own', async (t) => {
  const relay = await TestRelay.start(t);
  const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
  const producers = await Promise.all([
    Producer.open(t, relay, { sessionName: 'a', idSessiond: 0n }),
    Producer.open(t, relay, { sessionName: 'b', idSessiond: 1n }),
    Producer.open(t, relay, { sessionName: 'c', idSessiond: 0n, sessiondUuid: uuid, hostname: 'far' }),
  ]);
  for (const [at, producer] of producers.entries()) {
    const stream = await producer.addStream('c_0');
    await producer.packet(stream, 0n, pattern(100, at));
    await producer.stored(stream, 0n);
    // the others' chunk 0 still has users; ours has none once its streams have left
    await producer.ok(r.rotateStreams([[stream, 1n]]));
    const closed = await producer.control.ask(r.closeTraceChunk(0n), 8);
    await producer.control.read(closed.readUInt32BE(4));
    t.is((await producer.control.ask(r.traceChunkExists(0n), 5)).toString('hex'), '0000000a00');
    await producer.finish([[stream, 0n]]);
  }
  await relay.empty();
  const files = relay.tree();
  for (const [at, directory] of [`vm/a-${date}`, `vm/b-${date}`, `far/c-${date}`].entries())
    t.deepEqual(files[`${directory}/${ustPath}/c_0`], pattern(100, at));
});

test('two consumers of one session share its chunk and its directory, and either may go first', async (t) => {
  const relay = await TestRelay.start(t);
  const wide = await Producer.open(t, relay);
  const narrow = await Producer.open(t, relay);
  t.is(wide.outputPath, narrow.outputPath);
  const one = await wide.addStream('c_0', 'ust/uid/0/64-bit');
  const two = await narrow.addStream('c_0', 'ust/uid/0/32-bit');
  await wide.packet(one, 0n, pattern(10, 1));
  await narrow.packet(two, 0n, pattern(10, 2));
  await wide.stored(one, 0n);
  const closed = await wide.control.ask(r.closeTraceChunk(0n), 8);
  await wide.control.read(closed.readUInt32BE(4));
  await wide.ok(r.rotateStreams([[one, 1n]]));
  t.is((await wide.control.ask(r.traceChunkExists(0n), 5)).toString('hex'), '0000000a01');
  await wide.finish([[one, 0n]]);
  await narrow.stored(two, 0n);
  await narrow.finish([[two, 0n]]);
  await relay.empty();
  const files = relay.tree();
  t.deepEqual(files[`vm/s1-${date}/ust/uid/0/64-bit/c_0`], pattern(10, 1));
  t.deepEqual(files[`vm/s1-${date}/ust/uid/0/32-bit/c_0`], pattern(10, 2));
});

test('a session without a stream ends with its connections', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  await producer.ok(r.beginDataPending(producer.sessionId));
  t.is(await producer.ret(r.endDataPending(producer.sessionId)), 0);
  await producer.control.end();
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree(), { [`vm/s1-${date}/`]: null });
});

test('many idle snapshot pairs stay, and none of them holds memory', async (t) => {
  const relay = await TestRelay.start(t);
  const pairs: Producer[] = [];
  for (let n = 0; n < 50; n += 1)
    pairs.push(await Producer.open(t, relay, { snapshot: true, chunk: undefined, creationTimeS: BigInt(n) }));
  t.like(relay.status(), { slabsInUse: 0, connections: { control: 50, data: 50 } });
  for (const pair of pairs) t.is((await pair.control.ask(r.getConfiguration(), 12)).readUInt32BE(0), 10);
});

test('a live session may send a beacon at any time, also for a stream without chunk, and nothing is written', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { liveTimerUs: 1_000_000 });
  const stream = await producer.addStream('c_0');
  await producer.ok(r.beacon(15, stream, r.noPacket, 1234n));
  await producer.packet(stream, 0n, pattern(50));
  await producer.ok(r.beacon(15, stream, 0n, 2345n));
  await producer.stored(stream, 0n);
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  await producer.ok(r.beacon(15, stream, 0n, 3456n));
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [`vm/s1-${date}/${ustPath}/c_0`]: pattern(50),
    [`vm/s1-${date}/${ustPath}/index/c_0.idx`]: r.indexFile(15, [[0, r.indexFacts(0n, 50)]]),
  });
});
