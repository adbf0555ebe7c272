/**
 * What hangs, kills or misleads real relays and their producers (relay-protocol, "Dangers"; relay-behaviour, "Defects"),
 * as far as no other file here has a test of that name.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { join, pattern } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const directory = `vm/s1-${r.creationDate}/${ustPath}`;

test('tracefile size without count, which kills lttng-relayd at the first full file: numbers go on without end', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const limited = { channelName: 'c_0', path: ustPath, tracefileSizeBytes: 100n, tracefileCount: 0n };
  const reply = await producer.control.ask(r.addStream(15, limited), 12);
  t.is(reply.readUInt32BE(8), 10);
  const stream = reply.readBigUInt64BE(0);
  for (let n = 0; n < 4; n += 1) await producer.packet(stream, BigInt(n), pattern(60, n), 30);
  await producer.packet(stream, 4n, pattern(300, 4));
  await producer.finish([[stream, 4n]]);
  await relay.empty();
  const expected: Record<string, Buffer> = {};
  for (let n = 0; n < 4; n += 1) {
    expected[`${directory}/c_0_${n}`] = join(pattern(60, n), Buffer.alloc(30));
    expected[`${directory}/index/c_0_${n}.idx`] = r.indexFile(15, [[0, r.indexFacts(BigInt(n), 90)]]);
  }
  expected[`${directory}/c_0_4`] = pattern(300, 4);
  expected[`${directory}/index/c_0_4.idx`] = r.indexFile(15, [[0, r.indexFacts(4n, 300)]]);
  t.deepEqual(relay.tree(), expected);
});

test('a ring of tracefiles is overwritten from its beginning; each file has its own index', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const limited = { channelName: 'c_0', path: ustPath, tracefileSizeBytes: 100n, tracefileCount: 2n };
  const stream = (await producer.control.ask(r.addStream(15, limited), 12)).readBigUInt64BE(0);
  for (let n = 0; n < 5; n += 1) await producer.packet(stream, BigInt(n), pattern(40, n));
  await producer.finish([[stream, 4n]]);
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [`${directory}/c_0_0`]: pattern(40, 4),
    [`${directory}/index/c_0_0.idx`]: r.indexFile(15, [[0, r.indexFacts(4n, 40)]]),
    [`${directory}/c_0_1`]: join(pattern(40, 2), pattern(40, 3)),
    [`${directory}/index/c_0_1.idx`]: r.indexFile(15, [
      [0, r.indexFacts(2n, 40)],
      [40, r.indexFacts(3n, 40)],
    ]),
  });
});

test('TRACE_CHUNK_EXISTS of one session does not look at the other one of the same sessiond', async (t) => {
  const relay = await TestRelay.start(t);
  const first = await Producer.open(t, relay, { sessionName: 'a', idSessiond: 0n });
  const second = await Producer.open(t, relay, { sessionName: 'b', idSessiond: 1n });
  const closed = await first.control.ask(r.closeTraceChunk(0n), 8);
  await first.control.read(closed.readUInt32BE(4));
  t.is((await first.control.ask(r.traceChunkExists(0n), 5)).toString('hex'), '0000000a00');
  t.is((await second.control.ask(r.traceChunkExists(0n), 5)).toString('hex'), '0000000a01');
});

test('a stream that waits for data that never comes does not hold the relay at its end', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  await producer.ok(r.closeStream(stream, 0n));
  await relay.relay.close();
  t.is(relay.status().sessions.length, 0);
  t.is(relay.status().lost.unfinished?.packets, 1);
});

test('a host that vanishes without a word is given up when its connections are, not before', async (t) => {
  const relay = await TestRelay.start(t, { limits: { strangerSeconds: 0.1, inFlightSeconds: 0.1 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const other = await Peer.connect(relay.control);
  await other.closed;
  t.is(relay.status().sessions.length, 1, 'who has a session may be silent for days');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.vanish();
  await relay.empty();
});

test('a port that is taken rejects the start, and leaves nothing listening', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  await t.throwsAsync(TestRelay.start(t, { data: { host: '127.0.0.1', port } }), {
    code: 'MR_ERR_NETWORK_LISTEN',
  });
});

test('a snapshot is finished by CLOSE_TRACE_CHUNK: no index, its own directory, its path in the reply', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { snapshot: true, chunk: undefined });
  const name = 'snapshot-1-20261120-184954-0';
  await producer.ok(r.createTraceChunk(4n, name));
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 3n, pattern(100), 28);
  producer.frame(stream, 4n, pattern(128, 1));
  await producer.ok(r.closeStream(stream, 4n));
  const metadata = await producer.addStream('metadata');
  producer.metadata(metadata, 'text');
  await producer.ok(r.closeStream(metadata, r.noPacket));
  const reply = await producer.control.ask(r.closeTraceChunk(4n), 8);
  const path = await producer.control.read(reply.readUInt32BE(4));
  t.is(path.toString(), `vm/s1-${r.creationDate}/${name}\0`);
  await until(
    () => relay.status().traceChunks === 0,
    () => 'the chunk is still in use',
  );
  t.like(relay.status(), { connections: { control: 1, data: 1 } });
  const place = `vm/s1-${r.creationDate}/${name}/${ustPath}`;
  t.deepEqual(relay.tree(), {
    [`${place}/c_0`]: join(pattern(100), Buffer.alloc(28), pattern(128, 1)),
    [`${place}/metadata`]: Buffer.from('text'),
  });
});

test('an index in a snapshot session, or from a producer before 2.4, is accepted and forgotten', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { snapshot: true });
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.index(stream, 0n, 8);
  await producer.index(stream, 9n, 8);
  await producer.stored(stream, 0n);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(relay.tree(), { [`${directory}/c_0`]: pattern(8) });
});

test('circuit ids and command versions that are not 0 are ignored', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  const request = Buffer.from(r.version(15));
  request.writeBigUInt64BE(0x1234_5678_9abc_def0n, 0);
  request.writeUInt32BE(77, 20);
  t.is((await peer.ask(request, 8)).toString('hex'), '000000020000000f');
  await peer.end();
});
