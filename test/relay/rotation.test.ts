/** Rotation and clear: every way through of relay-behaviour, "All ways through", and the split at the exact packet. */
import type { ExecutionContext } from 'ava';
import { join, pattern } from '../helpers/bytes.ts';
import { Producer } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const session = `vm/s1-${r.creationDate}`;
/** Local time so many seconds after the session was created, as in chunk names. */
const at = (afterS: number): string => `20231114T2213${20 + afterS}+0000`;
const archive = (from: number, to: number, chunk: number): string =>
  `archives/${at(from)}-${at(to)}-${chunk}`;

/** One stream and its metadata in one directory. */
interface Recording {
  relay: TestRelay;
  producer: Producer;
  stream: bigint;
  metadata: bigint;
}

async function recording(relay: TestRelay, producer: Producer, path = 'ust/x'): Promise<Recording> {
  const stream = await producer.addStream('c_0', path);
  const metadata = await producer.addStream('metadata', path);
  producer.metadata(metadata, 'm');
  return { relay, producer, stream, metadata };
}

async function rotate(
  { producer, stream, metadata }: Recording,
  position: bigint,
  chunk?: bigint,
): Promise<void> {
  await producer.ok(r.rotateStreams([[stream, position]], chunk));
  await producer.ok(r.rotateStreams([[metadata, 0n]], chunk));
  if (chunk !== undefined) producer.metadata(metadata, 'm');
}

/** CLOSE_TRACE_CHUNK; returns the path that the producer is told. */
async function close(
  { producer }: Recording,
  chunk: bigint,
  action?: number,
  afterS?: number,
): Promise<string> {
  const reply = await producer.control.ask(r.closeTraceChunk(chunk, action, afterS), 8);
  const path = await producer.control.read(reply.readUInt32BE(4));
  return path.toString('utf8', 0, path.length - 1);
}

async function exists({ producer }: Recording, chunk: bigint): Promise<boolean> {
  return (await producer.control.ask(r.traceChunkExists(chunk), 5))[4] === 1;
}

/** The session's files and empty directories, sorted, without the names that a chunk always holds. */
function chunks({ relay }: Recording): string[] {
  const found = new Set<string>();
  for (const path of Object.keys(relay.tree()))
    found.add(path.slice(session.length + 1).replace(/ust\/x\/.*/, 'ust'));
  return [...found].toSorted((a, b) => (a < b ? -1 : 1));
}

async function start(t: ExecutionContext): Promise<Recording> {
  const relay = await TestRelay.start(t);
  const one = await recording(relay, await Producer.open(t, relay));
  await one.producer.packet(one.stream, 0n, pattern(8));
  await one.producer.stored(one.stream, 0n);
  return one;
}

test('rotate twice and destroy: chunks go through .tmp_old_chunk and .tmp_new_chunk into archives', async (t) => {
  const one = await start(t);
  const { producer, stream } = one;
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  t.deepEqual(chunks(one), ['.tmp_new_chunk/', '.tmp_old_chunk/ust']);
  await rotate(one, 1n, 1n);
  t.deepEqual(chunks(one), ['.tmp_new_chunk/ust', '.tmp_old_chunk/ust']);
  t.is(await close(one, 0n, 0, 11), session, 'the first rotation is told as the session directory');
  t.false(await exists(one, 0n));
  t.deepEqual(chunks(one), [`${at(10)}-1/ust`, `${archive(1, 11, 0)}/ust`]);

  await producer.packet(stream, 1n, pattern(16, 1));
  await producer.ok(r.createTraceChunk(2n, undefined, 20));
  await rotate(one, 2n, 2n);
  t.is(await close(one, 1n, 0, 21), `${session}/${archive(10, 21, 1)}`);
  await producer.stored(stream, 1n);
  t.deepEqual(chunks(one), [`${at(20)}-2/ust`, `${archive(1, 11, 0)}/ust`, `${archive(10, 21, 1)}/ust`]);

  await rotate(one, 2n);
  t.is(await close(one, 2n, 0, 30), `${session}/${archive(20, 30, 2)}`);
  t.false(await exists(one, 2n));
  const name = (chunk: string, file: string): string => `${session}/${chunk}/ust/x/${file}`;
  t.deepEqual(one.relay.tree(), {
    [name(archive(1, 11, 0), 'c_0')]: pattern(8),
    [name(archive(1, 11, 0), 'index/c_0.idx')]: r.indexFile(15, [[0, r.indexFacts(0n, 8)]]),
    [name(archive(1, 11, 0), 'metadata')]: Buffer.from('m'),
    [name(archive(10, 21, 1), 'c_0')]: pattern(16, 1),
    [name(archive(10, 21, 1), 'index/c_0.idx')]: r.indexFile(15, [[0, r.indexFacts(1n, 16)]]),
    [name(archive(10, 21, 1), 'metadata')]: Buffer.from('m'),
    [name(archive(20, 30, 2), 'c_0')]: Buffer.alloc(0),
    [name(archive(20, 30, 2), 'metadata')]: Buffer.from('m'),
  });
});

test('clear while started, never rotated: the next chunk takes the place of the deleted one', async (t) => {
  const one = await start(t);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 1n, 1n);
  t.is(await close(one, 0n, 2, 11), session);
  t.false(await exists(one, 0n));
  await one.relay.made('ust/x/c_0');
  t.deepEqual(one.relay.tree(), {
    [`${session}/ust/x/c_0`]: Buffer.alloc(0),
    [`${session}/ust/x/metadata`]: Buffer.from('m'),
  });
});

test('clear while stopped leaves an empty session directory; started again, streams return to it', async (t) => {
  const one = await start(t);
  await rotate(one, 1n);
  await close(one, 0n, 2, 11);
  t.deepEqual(one.relay.tree(), { [`${session}/`]: null });
  await one.producer.ok(r.createTraceChunk(1n, undefined, 12));
  await rotate(one, 1n, 1n);
  await one.producer.packet(one.stream, 1n, pattern(5));
  await one.producer.stored(one.stream, 1n);
  t.deepEqual(one.relay.tree()[`${session}/ust/x/c_0`], pattern(5));
});

test('rotate while stopped leaves archives alone; started again, the next chunk has a directory of its own', async (t) => {
  const one = await start(t);
  await rotate(one, 1n);
  await close(one, 0n, 0, 11);
  t.deepEqual(chunks(one), [`${archive(1, 11, 0)}/ust`]);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 12));
  await rotate(one, 1n, 1n);
  t.deepEqual(chunks(one), [`${at(12)}-1/ust`, `${archive(1, 11, 0)}/ust`]);
});

test('clear after a rotation keeps the archives', async (t) => {
  const one = await start(t);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 1n, 1n);
  await close(one, 0n, 0, 11);
  await one.producer.ok(r.createTraceChunk(2n, undefined, 12));
  await rotate(one, 1n, 2n);
  await close(one, 1n, 2, 13);
  t.false(await exists(one, 1n));
  t.deepEqual(chunks(one), [`${at(12)}-2/ust`, `${archive(1, 11, 0)}/ust`]);
});

test('a rotated session that is destroyed without a command keeps its last chunk under its own name', async (t) => {
  const one = await start(t);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 1n, 1n);
  await close(one, 0n, 0, 11);
  await rotate(one, 1n);
  await close(one, 1n);
  t.deepEqual(chunks(one), [`${at(10)}-1/ust`, `${archive(1, 11, 0)}/ust`]);
});

test('a close without command after the next chunk was created puts chunk 0 back, as producers of 2.11 have it', async (t) => {
  const one = await start(t);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 1n, 1n);
  await close(one, 0n);
  t.deepEqual(chunks(one), [`${at(10)}-1/ust`, 'ust']);
});

test('old packets after CREATE, ROTATE and CLOSE still go to the old chunk, which is archived when the last is in', async (t) => {
  const one = await start(t);
  const { producer, stream } = one;
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 2n, 1n);
  await close(one, 0n, 0, 11);
  t.true(await exists(one, 0n));
  await producer.index(stream, 1n, 8);
  await producer.index(stream, 2n, 16);
  t.true(await exists(one, 0n));
  producer.frame(stream, 1n, pattern(8, 1));
  await producer.stored(stream, 1n);
  t.false(await exists(one, 0n));
  producer.frame(stream, 2n, pattern(16, 2));
  await producer.stored(stream, 2n);
  const files = one.relay.tree();
  t.deepEqual(files[`${session}/${archive(1, 11, 0)}/ust/x/c_0`], join(pattern(8), pattern(8, 1)));
  t.deepEqual(files[`${session}/${at(10)}-1/ust/x/c_0`], pattern(16, 2));
  t.deepEqual(
    files[`${session}/${at(10)}-1/ust/x/index/c_0.idx`],
    r.indexFile(15, [[0, r.indexFacts(2n, 16)]]),
  );
});

test('data of the next chunk ahead of its index, which kills lttng-relayd: the surplus moves, offsets begin anew', async (t) => {
  const relay = await TestRelay.start(t);
  const one = await recording(relay, await Producer.open(t, relay));
  const { producer, stream } = one;
  await producer.packet(stream, 0n, pattern(100));
  producer.frame(stream, 1n, pattern(100, 1));
  producer.frame(stream, 2n, pattern(100, 2));
  await until(
    () => relay.tree()[`${session}/ust/x/c_0`]?.length === 300,
    () => 'the packets are not there',
  );
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 1n, 1n);
  await producer.index(stream, 1n, 100);
  await producer.index(stream, 2n, 100);
  await close(one, 0n, 0, 11);
  await producer.stored(stream, 2n);
  const files = relay.tree();
  const old = `${session}/${archive(1, 11, 0)}/ust/x`;
  t.deepEqual(files[`${old}/c_0`], pattern(100));
  t.deepEqual(files[`${old}/index/c_0.idx`], r.indexFile(15, [[0, r.indexFacts(0n, 100)]]));
  const next = `${session}/${at(10)}-1/ust/x`;
  t.deepEqual(files[`${next}/c_0`], join(pattern(100, 1), pattern(100, 2)));
  t.deepEqual(
    files[`${next}/index/c_0.idx`],
    r.indexFile(15, [
      [0, r.indexFacts(1n, 100)],
      [100, r.indexFacts(2n, 100)],
    ]),
  );
});

test('rotated at 0 before any packet: the first packet goes to the next chunk, though its packet_seq_num is 1', async (t) => {
  const relay = await TestRelay.start(t);
  const one = await recording(relay, await Producer.open(t, relay));
  const { producer, stream } = one;
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await rotate(one, 0n, 1n);
  await close(one, 0n, 2, 11);
  t.false(await exists(one, 0n));
  producer.frame(stream, 0n, pattern(8));
  await producer.ok(r.sendIndex(15, stream, 0n, { ...r.indexFacts(0n, 8), packetSeqNum: 1n }));
  await producer.stored(stream, 0n);
  t.deepEqual(relay.tree()[`${session}/ust/x/c_0`], pattern(8));
});

test('two consumers rotate one session: each rename happens once, the archive comes when the last one closes', async (t) => {
  const relay = await TestRelay.start(t);
  const a = await recording(relay, await Producer.open(t, relay), 'ust/x');
  const b = await recording(relay, await Producer.open(t, relay), 'kernel');
  const both = [a, b];
  for (const { producer, stream } of both) await producer.packet(stream, 0n, pattern(8));
  for (const { producer } of both) await producer.ok(r.createTraceChunk(1n, undefined, 10));
  for (const one of both) await rotate(one, 1n, 1n);
  t.is(await close(a, 0n, 0, 11), session);
  t.true(await exists(a, 0n));
  t.is(await close(b, 0n, 0, 11), session);
  for (const { producer, stream } of both) await producer.stored(stream, 0n);
  t.false(await exists(a, 0n));
  t.false(await exists(b, 0n));
  await relay.made('ust/x/c_0', 'kernel/c_0');
  const files = Object.keys(relay.tree()).map((path) => path.slice(session.length + 1));
  t.deepEqual(files.toSorted(), [
    `${at(10)}-1/kernel/c_0`,
    `${at(10)}-1/kernel/metadata`,
    `${at(10)}-1/ust/x/c_0`,
    `${at(10)}-1/ust/x/metadata`,
    `${archive(1, 11, 0)}/kernel/c_0`,
    `${archive(1, 11, 0)}/kernel/index/c_0.idx`,
    `${archive(1, 11, 0)}/kernel/metadata`,
    `${archive(1, 11, 0)}/ust/x/c_0`,
    `${archive(1, 11, 0)}/ust/x/index/c_0.idx`,
    `${archive(1, 11, 0)}/ust/x/metadata`,
  ]);
});

test('a second chunk before the first is closed gets 152 and a close', async (t) => {
  const one = await start(t);
  await one.producer.ok(r.createTraceChunk(1n, undefined, 10));
  one.producer.control.write(r.createTraceChunk(2n, undefined, 12));
  t.is((await one.producer.control.rest()).toString('hex'), '00000098');
});

test('a rotation to an unknown chunk gets 152 and a close', async (t) => {
  const one = await start(t);
  one.producer.control.write(r.rotateStreams([[one.stream, 1n]], 7n));
  t.is((await one.producer.control.rest()).toString('hex'), '00000098');
});

test('clearing where it is disallowed gets 152 with path length 0, and its flag is off', async (t) => {
  const relay = await TestRelay.start(t, { disallowClear: true });
  const producer = await Producer.open(t, relay);
  t.is((await producer.control.ask(r.getConfiguration(), 12)).toString('hex'), `0000000a${'0'.repeat(16)}`);
  producer.control.write(r.closeTraceChunk(0n, 2));
  t.is((await producer.control.rest()).toString('hex'), '0000009800000000');
});
