/** The data-pending question and the end of streams, in every order. Source: relay-protocol, "Data pending", "End of stream". */
import { join, none, pattern } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const directory = `vm/s1-${r.creationDate}/${ustPath}`;
const file = `${directory}/c_0`;
const index = `${directory}/index/c_0.idx`;

/** Waits until the relay has written so much of a file. */
async function written(relay: TestRelay, path: string, bytes: number): Promise<void> {
  const size = () => relay.tree()[path]?.length;
  await until(
    () => size() === bytes,
    () => `${path} has ${size()} bytes, not ${bytes}`,
  );
}

test('a fresh stream has nothing pending before 2^64 - 1, and packet 0 is', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  t.is(await producer.pending(stream, none), 0);
  t.is(await producer.pending(stream, 0n), 1);
});

test('a packet is pending until both its data and its index are stored, whichever comes last', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  await written(relay, file, 8);
  t.is(await producer.pending(stream, 0n), 1);
  await producer.index(stream, 0n, 8);
  await producer.stored(stream, 0n);
  await producer.index(stream, 1n, 8);
  t.is(await producer.pending(stream, 1n), 1);
  t.is(await producer.pending(stream, 0n), 0);
  producer.frame(stream, 1n, pattern(8));
  await producer.stored(stream, 1n);
});

test('records completed 1 then 0: neither is pending, where lttng-relayd says that 1 still is', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(8));
  await written(relay, file, 16);
  await producer.index(stream, 1n, 8);
  t.is(await producer.pending(stream, 1n), 1);
  await producer.index(stream, 0n, 8);
  await producer.stored(stream, 1n);
  t.pass();
});

test('a data-pending question is answered 0 or 1 and never 10', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  t.is(await producer.pending(stream, 5n), 1);
  t.is(await producer.pending(metadata, none), 0);
  t.is(await producer.ret(r.endDataPending(producer.sessionId)), 0);
});

test('END answers 1 while a stream of the session was not asked about', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const streams = [await producer.addStream('c_0'), await producer.addStream('c_1')] as const;
  const metadata = await producer.addStream('metadata');
  const end = () => producer.ret(r.endDataPending(producer.sessionId));
  await producer.ok(r.beginDataPending(producer.sessionId));
  t.is(await end(), 1);
  await producer.pending(streams[0], none);
  t.is(await end(), 1);
  await producer.ok(r.quiescentControl(metadata));
  t.is(await end(), 1);
  await producer.pending(streams[1], none);
  t.is(await end(), 0);
  await producer.ok(r.beginDataPending(producer.sessionId));
  t.is(await end(), 1);
  for (const stream of streams) await producer.ok(r.closeStream(stream, none));
  await producer.ok(r.closeStream(metadata, none));
  t.is(await end(), 0, 'closed streams are not asked about');
});

test('CLOSE_STREAM before the last data: the stream waits for it, then closes', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  await producer.ok(r.closeStream(stream, 0n));
  t.is(relay.status().sessions[0]?.streams.length, 1);
  producer.frame(stream, 0n, pattern(8));
  await written(relay, index, 16 + 72);
  t.deepEqual(relay.tree()[index], r.indexFile(15, [[0, r.indexFacts(0n, 8)]]));
  await until(
    () => relay.status().sessions[0]?.streams.length === 0,
    () => 'the stream is still open',
  );
});

test('CLOSE_STREAM before the last index: the index is taken, where lttng-relayd refuses it with 11', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  await written(relay, file, 8);
  await producer.ok(r.closeStream(stream, 0n));
  await producer.index(stream, 0n, 8);
  await producer.control.end();
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree(), { [file]: pattern(8), [index]: r.indexFile(15, [[0, r.indexFacts(0n, 8)]]) });
});

test('CLOSE_STREAM before both halves of the last packets takes them in any order', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.closeStream(stream, 1n));
  await producer.index(stream, 1n, 8);
  producer.frame(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(8, 1));
  await written(relay, file, 16);
  await producer.index(stream, 0n, 8);
  await producer.control.end();
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree()[file], join(pattern(8), pattern(8, 1)));
});

test('a stream closed twice is unknown the second time', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.closeStream(stream, none));
  producer.control.write(r.closeStream(stream, none));
  t.is((await producer.control.rest()).toString('hex'), '0000000b');
});

test('control connection gone: packets whose index is known are still taken, then everything closes', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  await producer.index(stream, 1n, 8);
  await producer.control.end();
  producer.frame(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(8, 1));
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [file]: join(pattern(8), pattern(8, 1)),
    [index]: r.indexFile(15, [
      [0, r.indexFacts(0n, 8)],
      [8, r.indexFacts(1n, 8)],
    ]),
  });
});

test('control connection gone, a packet without its index stays in the file and has no record', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  await written(relay, file, 8);
  await producer.control.end();
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree(), { [file]: pattern(8), [index]: r.indexFile(15, []) });
});

test('control connection gone and the data never comes: the session ends after its grace, and the loss is counted', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.index(stream, 1n, 8);
  await producer.control.end();
  await until(
    () => relay.status().sessions.length === 0,
    () => 'the session is still there',
  );
  t.is(relay.status().lost.unfinished?.packets, 1);
  t.deepEqual(relay.tree()[index], r.indexFile(15, [[0, r.indexFacts(0n, 8)]]));
});

test('a session whose connections both go at once, with data and index of several packets under way, leaves nothing open', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  producer.data.write(r.dataFrame(stream, 1n, pattern(1000)).subarray(0, 500));
  await written(relay, file, 468);
  await producer.vanish();
  await relay.empty();
  t.is(relay.tree()[file]?.length, 0, 'a torn packet is cut');
});

test('data connection gone: what is complete stays, and the session ends with its control connection', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.data.end();
  await until(
    () => relay.status().sessions[0]?.streams.length === 0,
    () => 'the streams are still open',
  );
  t.is(await producer.pending(stream, 0n), 0xffff_ffff, 'its streams are closed, so the question is refused');
  await producer.control.closed;
  await relay.empty();
  t.deepEqual(relay.tree()[file], pattern(8));
});

test('data connection gone in the middle of a packet: the torn packet is cut and counted as lost', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  producer.data.write(r.dataFrame(stream, 1n, pattern(1000)).subarray(0, 532));
  await written(relay, file, 508);
  await producer.data.end();
  await producer.control.end();
  await relay.empty();
  t.deepEqual(relay.tree(), { [file]: pattern(8), [index]: r.indexFile(15, [[0, r.indexFacts(0n, 8)]]) });
  t.deepEqual(relay.status().lost.unfinished, { packets: 1, bytes: 500 });
});

test('a data connection that carried nothing may go without harm', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.data.end();
  await producer.index(stream, 0n, 8);
  t.is(await producer.pending(stream, 0n), 1);
});
