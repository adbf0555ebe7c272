/** What every `lttng destroy` sends: streams leave their trace chunk for none, the chunk is closed and asked about. */
import { join, pattern } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const directory = `vm/s1-${r.creationDate}/${ustPath}`;
const file = `${directory}/c_0`;
const index = `${directory}/index/c_0.idx`;

async function exists(producer: Producer, chunk: bigint): Promise<number> {
  const reply = await producer.control.ask(r.traceChunkExists(chunk), 5);
  return reply[4] as number;
}

async function closeChunk(producer: Producer, chunk: bigint): Promise<void> {
  const reply = await producer.control.ask(r.closeTraceChunk(chunk), 8);
  await producer.control.read(reply.readUInt32BE(4));
}

test('a chunk exists until the last stream has left it and it is closed, in either order', async (t) => {
  const relay = await TestRelay.start(t);
  for (const closeFirst of [true, false]) {
    const producer = await Producer.open(t, relay, { idSessiond: closeFirst ? 1n : 2n });
    const stream = await producer.addStream('c_0');
    const metadata = await producer.addStream('metadata');
    if (closeFirst) await closeChunk(producer, 0n);
    t.is(await exists(producer, 0n), 1);
    await producer.ok(r.rotateStreams([[stream, 0n]]));
    t.is(await exists(producer, 0n), 1);
    await producer.ok(r.rotateStreams([[metadata, 0n]]));
    t.is(await exists(producer, 0n), closeFirst ? 0 : 1);
    if (!closeFirst) await closeChunk(producer, 0n);
    t.is(await exists(producer, 0n), 0);
    t.is(await exists(producer, 5n), 0, 'a chunk that never was');
    await producer.finish([
      [metadata, r.noPacket],
      [stream, r.noPacket],
    ]);
  }
});

test('a stream leaves its chunk when the last packet before the position is complete, index last', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(8, 1));
  await producer.ok(r.rotateStreams([[stream, 2n]]));
  await closeChunk(producer, 0n);
  t.is(await exists(producer, 0n), 1);
  await producer.index(stream, 1n, 8);
  await until(
    () => relay.status().traceChunks === 0,
    () => 'the chunk is still in use',
  );
  t.is(await exists(producer, 0n), 0);
  await producer.finish([[stream, 1n]]);
  t.deepEqual(relay.tree()[file], join(pattern(8), pattern(8, 1)));
});

test('a stream leaves its chunk when the last packet before the position is complete, data last', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.index(stream, 1n, 8);
  await producer.ok(r.rotateStreams([[stream, 2n]]));
  await closeChunk(producer, 0n);
  t.is(await exists(producer, 0n), 1);
  producer.frame(stream, 1n, pattern(8, 1));
  await until(
    () => relay.status().traceChunks === 0,
    () => 'the chunk is still in use',
  );
  await producer.finish([[stream, 1n]]);
  t.deepEqual(
    relay.tree()[index],
    r.indexFile(15, [
      [0, r.indexFacts(0n, 8)],
      [8, r.indexFacts(1n, 8)],
    ]),
  );
});

test('the position is a packet_seq_num: after a clear it is far ahead of net_seq_num', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  await producer.ok(r.rotateStreams([[stream, 103n]]));
  await closeChunk(producer, 0n);
  t.is(await exists(producer, 0n), 1, 'data alone does not tell its packet_seq_num');
  await producer.ok(r.sendIndex(15, stream, 0n, { ...r.indexFacts(0n, 8), packetSeqNum: 102n }));
  await producer.stored(stream, 0n);
  t.is(await exists(producer, 0n), 0);
});

test('a packet that came before its stream rotates to none stays, though it lies behind the position', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(8, 1));
  await until(
    () => relay.tree()[file]?.length === 16,
    () => `${relay.tree()[file]?.length} bytes`,
  );
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  await closeChunk(producer, 0n);
  t.is(await exists(producer, 0n), 1, 'its index is missing');
  await producer.index(stream, 1n, 8);
  await producer.stored(stream, 1n);
  t.is(await exists(producer, 0n), 0);
  await producer.vanish();
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [file]: join(pattern(8), pattern(8, 1)),
    [index]: r.indexFile(15, [
      [0, r.indexFacts(0n, 8)],
      [8, r.indexFacts(1n, 8)],
    ]),
  });
  t.deepEqual(relay.status().lost, {});
});

test('a stream that never had a packet leaves at once, whatever the position', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  t.is(await producer.pending(stream, r.noPacket), 0);
  await producer.ok(r.rotateStreams([[stream, 0n]]));
  await closeChunk(producer, 0n);
  t.is(await exists(producer, 0n), 0);
});

test('data after the rotation to none is refused on the data connection; a beacon is accepted', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  await producer.ok(r.beacon(15, stream, 0n, 99n));
  producer.frame(stream, 1n, pattern(8));
  await producer.data.closed;
  t.is(relay.complaints(producer.data.name)[0]?.code, 'MR_ERR_RELAY_STREAM_CHUNK');
});

test('a stream that rotates already gets 153 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  producer.control.write(r.rotateStreams([[stream, 1n]]));
  t.is((await producer.control.rest()).toString('hex'), '00000099');
});

test('a rotation that names a stream of another session is refused whole', async (t) => {
  const relay = await TestRelay.start(t);
  const victim = await Producer.open(t, relay, { sessionName: 'victim' });
  const victims = await victim.addStream('c_0');
  const producer = await Producer.open(t, relay, { idSessiond: 1n });
  const own = await producer.addStream('c_0');
  producer.control.write(
    r.rotateStreams([
      [own, 0n],
      [victims, 0n],
    ]),
  );
  t.not((await producer.control.rest()).readUInt32BE(0), 10);
  await victim.packet(victims, 0n, pattern(8));
  await victim.stored(victims, 0n);
});

test('stopped, rotated to none and started again: the next chunk opens for new streams', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.rotateStreams([[stream, 0n]]));
  await closeChunk(producer, 0n);
  await producer.ok(r.createTraceChunk(1n));
  const next = await producer.addStream('d_0');
  await producer.packet(next, 0n, pattern(8));
  await producer.stored(next, 0n);
  t.deepEqual(relay.tree()[`${directory}/d_0`], pattern(8));
  t.is(await exists(producer, 1n), 1);
});

test('a consumer that vanishes in the middle of its rotation gives the chunk up', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const stays = await Producer.open(t, relay);
  const goes = await Producer.open(t, relay);
  const mine = await stays.addStream('c_0', 'ust/a');
  const theirs = await goes.addStream('c_0', 'ust/b');
  await goes.index(theirs, 0n, 8);
  await goes.ok(r.rotateStreams([[theirs, 1n]]));
  await stays.ok(r.rotateStreams([[mine, 0n]]));
  await closeChunk(stays, 0n);
  t.is(await exists(stays, 0n), 1);
  await goes.vanish();
  await until(
    () => relay.status().traceChunks === 0,
    () => 'the chunk is still in use',
  );
  t.is(await exists(stays, 0n), 0);
});
