/** A relay whose system has fewer descriptors than its producers have files. */
import assert from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { readMetadata, readStream } from '../../lib/disk/cooperative-reader.ts';
import { limits } from '../../lib/limits.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';
import { pattern } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { type Ports, Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, tree } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const streamCount = 1000;
const packetBytes = 192;

interface Status {
  files: { open: number; suspended: number; waiting: number };
  lost: Record<string, unknown>;
  lockConflicts: number;
  complaints: string[];
}

/** A relay that may have `descriptors` of them, softly and hard, and believes that it has `poolSize`. */
class ScarceRelay {
  readonly outputPath = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-scarce-')));
  readonly #child: ChildProcess;
  ports!: Ports;

  private constructor(t: ExecutionContext, [descriptors, poolSize]: [number, number], durability: string) {
    const script = fileURLToPath(new URL('scarce-relay.js', import.meta.url));
    const command = [`ulimit -n ${descriptors}; exec "$0" "$@"`, process.execPath, script];
    this.#child = spawn('sh', ['-c', ...command, this.outputPath, String(poolSize), durability], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    t.teardown(() => {
      this.#child.kill('SIGKILL');
      rmSync(this.outputPath, { recursive: true, force: true });
    });
  }

  static async start(
    t: ExecutionContext,
    durability = 'none',
    numbers: [descriptors: number, poolSize: number] = [256, 256],
  ): Promise<ScarceRelay> {
    const relay = new ScarceRelay(t, numbers, durability);
    [relay.ports] = (await once(relay.#child, 'message')) as [Ports];
    return relay;
  }

  async status(): Promise<Status> {
    this.#child.send('status');
    return (await once(this.#child, 'message'))[0] as Status;
  }

  async close(): Promise<void> {
    this.#child.send('close');
    assert.deepEqual(await once(this.#child, 'exit'), [0, null]);
  }
}

/** A producer with so many streams that their files do not fit. */
class ManyStreams {
  readonly producer: Producer;
  readonly streams: bigint[];
  readonly metadata: bigint;
  /** Packets sent of each stream. */
  sent = 0n;

  private constructor(producer: Producer, streams: bigint[], metadata: bigint) {
    this.producer = producer;
    this.streams = streams;
    this.metadata = metadata;
  }

  static async open(t: ExecutionContext, ports: Ports): Promise<ManyStreams> {
    const producer = await Producer.open(t, ports);
    const streams: bigint[] = [];
    for (let i = 0; i < streamCount; i += 1) streams.push(await producer.addStream(`c_${i}`));
    const metadata = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    return new ManyStreams(producer, streams, metadata);
  }

  /** One packet of every stream. The index follows the data of its stream `late` streams later. */
  async round(late: number): Promise<void> {
    const { producer, streams, sent } = this;
    const indexes: Buffer[] = [];
    let answered = 0;
    const sendIndexes = async (until: number) => {
      const due = indexes.splice(0, until - answered);
      answered = until;
      const replies = await producer.control.ask(Buffer.concat(due), 4 * due.length);
      assert.deepEqual(replies, Buffer.concat(due.map(() => Buffer.from('0000000a', 'hex'))));
    };
    for (const [i, stream] of streams.entries()) {
      producer.frame(stream, sent, packetOf(i, sent));
      indexes.push(r.sendIndex(15, stream, sent, r.indexFacts(sent, packetBytes)));
      if (i + 1 >= answered + late + 50) await sendIndexes(i + 1 - late);
    }
    await sendIndexes(streams.length);
    this.sent += 1n;
  }

  /** Asks as `lttng stop` does, with a pause between the rounds. */
  async stored(): Promise<void> {
    let rest = this.streams;
    while (rest.length > 0) {
      const questions = rest.map((stream) => r.dataPending(stream, this.sent - 1n));
      const answers = await this.producer.control.ask(Buffer.concat(questions), 4 * rest.length);
      rest = rest.filter((_, i) => answers.readUInt32BE(4 * i) !== 0);
      if (rest.length > 0) await delay(50);
    }
  }

  async rotate(chunk: bigint): Promise<void> {
    const { producer, streams, sent, metadata } = this;
    await producer.ok(r.createTraceChunk(chunk));
    await producer.ok(
      r.rotateStreams([...streams.map((stream) => [stream, sent] as const), [metadata, 0n]], chunk),
    );
  }

  async closeChunk(chunk: bigint, action: number): Promise<void> {
    const { control } = this.producer;
    const reply = await control.ask(r.closeTraceChunk(chunk, action), 8);
    assert.equal(reply.readUInt32BE(0), 10, 'CLOSE_TRACE_CHUNK');
    await control.read(reply.readUInt32BE(4));
  }

  async finish(): Promise<void> {
    const { producer, streams, metadata, sent } = this;
    await producer.finish([[metadata, r.noPacket], ...streams.map((stream) => [stream, sent - 1n] as const)]);
  }
}

function packetOf(stream: number, netSeqNum: bigint): Buffer {
  return pattern(packetBytes, stream * 8 + Number(netSeqNum));
}

/** What every stream must have in `directory` of packets `from` up to `to`, not included. */
function expected(directory: string, from: bigint, to: bigint): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  const numbers = Array.from({ length: Number(to - from) }, (_, i) => from + BigInt(i));
  const records = numbers.map((number, i) => [i * packetBytes, r.indexFacts(number, packetBytes)] as const);
  for (let i = 0; i < streamCount; i += 1) {
    files[`${directory}/c_${i}`] = Buffer.concat(numbers.map((number) => packetOf(i, number)));
    files[`${directory}/index/c_${i}.idx`] = r.indexFile(15, records);
  }
  return files;
}

/** A tree of thousands of files, compared without printing it whole. */
function isTree(
  t: ExecutionContext,
  actual: Record<string, Buffer | null>,
  wanted: Record<string, Buffer>,
): void {
  t.deepEqual(Object.keys(actual).sort(), Object.keys(wanted).sort());
  t.deepEqual(
    Object.entries(wanted).flatMap(([path, bytes]) => (actual[path]?.equals(bytes) ? [] : [path])),
    [],
  );
}

const moveToCompleted = 0;
const deleteChunk = 2;

for (const durability of ['none', 'sync'])
  test(`256 descriptors carry 1,000 streams through rounds, rotation and clear, durability ${durability}`, async (t) => {
    const relay = await ScarceRelay.start(t, durability);
    const many = await ManyStreams.open(t, relay.ports);
    const { producer } = many;
    producer.metadata(many.metadata, 'first;');
    await many.round(0);
    await many.round(100);
    await many.stored();
    const { files } = await relay.status();
    t.true(files.open <= 224, `${files.open} open`);
    t.true(files.suspended >= 1700, `${files.suspended} suspended`);

    // lttng rotate: top-level directories move away under suspended files
    await many.rotate(1n);
    producer.metadata(many.metadata, 'second;');
    await many.closeChunk(0n, moveToCompleted);
    await many.round(0);
    await many.stored();
    // lttng clear: what came before is deleted
    await many.rotate(2n);
    producer.metadata(many.metadata, 'third;');
    await many.closeChunk(1n, deleteChunk);
    await many.round(20);
    await many.round(0);
    await many.stored();
    await many.finish();
    const { lost, lockConflicts, complaints } = await relay.status();
    t.deepEqual({ lost, lockConflicts, complaints }, { lost: {}, lockConflicts: 0, complaints: [] });
    await relay.close();

    const session = producer.outputPath;
    const created = '20231114T221321+0000';
    const closed = '20231114T221329+0000';
    const archived = `${session}/archives/${created}-${closed}-0/${ustPath}`;
    const current = `${session}/${created}-2/${ustPath}`;
    isTree(t, tree(relay.outputPath), {
      ...expected(archived, 0n, 2n),
      [`${archived}/metadata`]: Buffer.from('first;'),
      ...expected(current, 3n, 5n),
      [`${current}/metadata`]: Buffer.from('third;'),
    });
  });

test('with all descriptors held by packets without index, the data connection waits for the indexes', async (t) => {
  const relay = await ScarceRelay.start(t);
  const many = await ManyStreams.open(t, relay.ports);
  await many.round(600);
  await many.stored();
  await many.round(600);
  await many.stored();
  await many.finish();
  const { lost, complaints } = await relay.status();
  t.deepEqual({ lost, complaints }, { lost: {}, complaints: [] });
  await relay.close();
  const directory = `${many.producer.outputPath}/${ustPath}`;
  isTree(t, tree(relay.outputPath), {
    ...expected(directory, 0n, 2n),
    [`${directory}/metadata`]: Buffer.alloc(0),
  });
});

test('connections come before files, and those for which nothing is left are closed, not the relay', async (t) => {
  const relay = await ScarceRelay.start(t);
  const many = await ManyStreams.open(t, relay.ports);
  await many.round(0);
  const peers: Peer[] = [];
  t.teardown(() => Promise.all(peers.map((peer) => peer.destroy())));
  for (let i = 0; i < 300; i += 1) peers.push(await Peer.connect(relay.ports.control));
  const closed = await Promise.race(peers.slice(250).map((peer) => peer.closed.then(() => true)));
  t.true(closed);
  t.true((await relay.status()).files.open <= 32);
  await many.round(0);
  await many.stored();
  for (const peer of peers) await peer.destroy();
  await many.finish();
  t.deepEqual((await relay.status()).lost, {});
  await relay.close();
  const directory = `${many.producer.outputPath}/${ustPath}`;
  isTree(t, tree(relay.outputPath), {
    ...expected(directory, 0n, 2n),
    [`${directory}/metadata`]: Buffer.alloc(0),
  });
});

test('to a reader in another process a suspended file is committed, and not finished', async (t) => {
  const relay = await ScarceRelay.start(t);
  const many = await ManyStreams.open(t, relay.ports);
  many.producer.metadata(many.metadata, 'text;');
  await many.round(0);
  await many.stored();
  const directory = join(relay.outputPath, many.producer.outputPath, ustPath);
  const locks = openRangeLocks();
  const isLocked = (path: string): boolean => {
    const fd = openSync(path, 'r');
    const locked = locks?.query(fd, 'shared', 0, 0) !== undefined;
    closeSync(fd);
    return locked;
  };
  const dataPath = join(directory, 'c_0');
  const indexPath = join(directory, 'index', 'c_0.idx');
  t.deepEqual([dataPath, indexPath, join(directory, 'metadata')].map(isLocked), [false, false, false]);

  const packets = readStream({ dataPath, indexPath, locks });
  const metadata = readMetadata(join(directory, 'metadata'), { locks });
  t.true((await packets.next()).value?.bytes?.equals(packetOf(0, 0n)));
  t.is(String((await metadata.next()).value), 'text;');
  const next = packets.next();
  const nextText = metadata.next();
  const waiting = Symbol('waiting');
  const patience = delay(4 * limits.lockPollMs, waiting);
  t.is(await Promise.race([next, nextText, patience]), waiting, 'neither ends');

  many.producer.metadata(many.metadata, 'more;');
  await many.round(0);
  t.true((await next).value?.bytes?.equals(packetOf(0, 1n)));
  t.is(String((await nextText).value), 'more;');
  await many.finish();
  t.true((await packets.next()).done);
  t.true((await metadata.next()).done);
  await relay.close();
  t.false(existsSync(join(relay.outputPath, '.millrace')));
});

test('a ring that overwrites a file whose index is suspended and not complete goes on', async (t) => {
  const relay = await TestRelay.start(t, { fdPoolSize: 100 });
  const producer = await Producer.open(t, relay);
  const limited = { tracefileSizeBytes: 100n, tracefileCount: 1n };
  const reply = await producer.control.ask(
    r.addStream(15, { channelName: 'ring', path: ustPath, ...limited }),
    12,
  );
  const ring = reply.readBigUInt64BE(0);
  producer.frame(ring, 0n, pattern(100, 0));
  const others: bigint[] = [];
  for (let i = 0; i < 50; i += 1) others.push(await producer.addStream(`c_${i}`));
  for (const other of others) await producer.packet(other, 0n, pattern(10));
  for (const other of others) await producer.stored(other, 0n);
  const directory = `${producer.outputPath}/${ustPath}`;
  t.false(relay.descriptors().includes(join(relay.outputPath, directory, 'index', 'ring_0.idx')));

  producer.frame(ring, 1n, pattern(100, 1));
  // what comes behind it on the data connection has been written: so has the second packet of the ring
  await producer.packet(others[0] as bigint, 1n, pattern(10));
  await producer.stored(others[0] as bigint, 1n);
  await producer.index(ring, 0n, 100);
  await producer.index(ring, 1n, 100);
  await producer.stored(ring, 1n);
  t.deepEqual(relay.tree()[`${directory}/ring_0`], pattern(100, 1));
  t.deepEqual(relay.tree()[`${directory}/index/ring_0.idx`], r.indexFile(15, [[0, r.indexFacts(1n, 100)]]));
  t.deepEqual(relay.complaints(), []);
  await producer.finish([[ring, 1n], ...others.map((other, i) => [other, i === 0 ? 1n : 0n] as const)]);
  await relay.empty();
});

test('when the system has fewer descriptors than was said, files are suspended and opened all the same', async (t) => {
  const relay = await ScarceRelay.start(t, 'none', [100, 5000]);
  const producer = await Producer.open(t, relay.ports);
  const streams: bigint[] = [];
  for (let i = 0; i < 150; i += 1) streams.push(await producer.addStream(`c_${i}`));
  for (const [i, stream] of streams.entries()) {
    await producer.packet(stream, 0n, packetOf(i, 0n));
    await producer.stored(stream, 0n);
  }
  await producer.finish(streams.map((stream) => [stream, 0n] as const));
  t.deepEqual((await relay.status()).lost, {});
  await relay.close();
  const found = tree(relay.outputPath);
  const wanted = expected(`${producer.outputPath}/${ustPath}`, 0n, 1n);
  t.is(Object.keys(found).length, 2 * streams.length);
  t.true(Object.entries(found).every(([path, bytes]) => wanted[path]?.equals(bytes as Buffer)));
});
