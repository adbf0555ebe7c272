/** Which trace chunks are told of as complete, when, and as what. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CompleteChunk } from '../../lib/index.ts';
import { pattern } from '../helpers/bytes.ts';
import { Producer, type ProducerOptions, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const session = `vm/s1-${r.creationDate}`;
const who = { hostname: 'vm', sessionName: 's1' };
const archived = 0;
const deleted = 2;

interface Watched {
  relay: TestRelay;
  /** Chunks told of, their paths below the output directory; each lay there when it was. */
  told: CompleteChunk[];
}

async function watched(t: ExecutionContext): Promise<Watched> {
  const told: CompleteChunk[] = [];
  const relay: TestRelay = await TestRelay.start(t, {
    onChunkComplete: (chunk) => {
      t.true(existsSync(chunk.path), chunk.path);
      told.push({ ...chunk, path: chunk.path.slice(relay.outputPath.length + 1) });
    },
  });
  return { relay, told };
}

async function recording(
  t: ExecutionContext,
  relay: TestRelay,
  options: ProducerOptions = {},
): Promise<{ producer: Producer; stream: bigint }> {
  const producer = await Producer.open(t, relay, options);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  return { producer, stream };
}

async function close(producer: Producer, chunk: bigint, action?: number): Promise<void> {
  const reply = await producer.control.ask(r.closeTraceChunk(chunk, action, 11), 8);
  await producer.control.read(reply.readUInt32BE(4));
}

test('a chunk that is archived is told of once, when its last stream has left it', async (t) => {
  const { relay, told } = await watched(t);
  const { producer, stream } = await recording(t, relay);
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await close(producer, 0n, archived);
  t.deepEqual(told, [], 'its stream is still in it');
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  const path = `${session}/archives/20231114T221321+0000-20231114T221331+0000-0`;
  t.deepEqual(told, [{ path, id: 0n, ...who }]);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.is(told.length, 2);
  t.like(told[1], { path: `${session}/20231114T221330+0000-1`, id: 1n });
});

test('a session that never rotated is told of as its own directory when it ends, in order or not', async (t) => {
  const { relay, told } = await watched(t);
  const { producer, stream } = await recording(t, relay);
  await close(producer, 0n);
  t.deepEqual(told, []);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(told, [{ path: session, id: 0n, ...who }]);

  const killed = await recording(t, relay, { sessionName: 'killed', idSessiond: 9n });
  await killed.producer.vanish();
  await relay.empty();
  t.like(told[1], { sessionName: 'killed', id: 0n });
});

test('a chunk of two consumers is told of once, when both have done with it', async (t) => {
  const { relay, told } = await watched(t);
  const one = await recording(t, relay);
  const two = await Producer.open(t, relay);
  const stream = await two.addStream('c_1');
  await one.producer.finish([[one.stream, 0n]]);
  t.deepEqual(told, []);
  await two.finish([[stream, r.noPacket]]);
  await relay.empty();
  t.deepEqual(told, [{ path: session, id: 0n, ...who }]);
});

test('chunks that are deleted, that are empty, and those of old producers are not told of', async (t) => {
  const { relay, told } = await watched(t);
  const { producer, stream } = await recording(t, relay);
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  await close(producer, 0n, deleted);
  await producer.finish([[stream, 0n]]);
  await (await Producer.open(t, relay, { sessionName: 'empty', idSessiond: 8n })).finish([]);
  const old = await recording(t, relay, { minor: 10, sessionName: 'old' });
  await old.producer.finish([[old.stream, 0n]]);
  await relay.empty();
  t.deepEqual(told, []);
});

test('a snapshot is told of under its own name, when it is whole', async (t) => {
  const { relay, told } = await watched(t);
  const producer = await Producer.open(t, relay, { chunk: undefined });
  await producer.ok(r.createTraceChunk(0n, 'snapshot-1'));
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await close(producer, 0n, archived);
  t.deepEqual(told, []);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  t.deepEqual(told, [{ path: `${session}/snapshot-1`, id: 0n, ...who }]);
});

test('a relay that starts where one was killed tells of the chunks that it finishes', async (t) => {
  const { relay } = await watched(t);
  const { producer, stream } = await recording(t, relay);
  await producer.ok(r.createTraceChunk(1n, undefined, 10));
  await close(producer, 0n, archived);
  // Killed here: the stream is still in the chunk that is to go to the archives.
  const outputPath = mkdtempSync(join(tmpdir(), 'millrace-killed-'));
  t.teardown(() => rmSync(outputPath, { recursive: true, force: true }));
  cpSync(relay.outputPath, outputPath, { recursive: true });
  rmSync(`${outputPath}/.millrace/lock`);
  await producer.finish([[stream, 0n]]);
  await relay.empty();
  const told: CompleteChunk[] = [];
  const next = await TestRelay.start(t, { outputPath, onChunkComplete: (chunk) => told.push(chunk) });
  const path = `${outputPath}/${session}/archives/20231114T221321+0000-20231114T221331+0000-0`;
  t.deepEqual(told, [{ path, id: 0n, ...who }]);
  t.true(existsSync(`${path}/${ustPath}/c_0`));
  await next.empty();
});
