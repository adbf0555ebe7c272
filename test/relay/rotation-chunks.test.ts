/**
 * Every way through the trace chunks of a session: what lies where after each command. Source: relay-behaviour, "All
 * ways through, files as measured", and the paths that the producer is told.
 */
import { pattern } from '../helpers/bytes.ts';
import { archived, closeChunk, exists, refusal, settled } from '../helpers/chunks.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const session = `vm/s1-${r.creationDate}`;

/** A session with one data stream and its metadata, and how many packets it has sent. */
class Session {
  readonly relay: TestRelay;
  readonly producer: Producer;
  readonly stream: bigint;
  readonly metadata: bigint;
  sent = 0n;

  private constructor(relay: TestRelay, producer: Producer, stream: bigint, metadata: bigint) {
    this.relay = relay;
    this.producer = producer;
    this.stream = stream;
    this.metadata = metadata;
  }

  static async open(t: Parameters<typeof TestRelay.start>[0], options = {}): Promise<Session> {
    const relay = await TestRelay.start(t, options);
    const producer = await Producer.open(t, relay);
    const stream = await producer.addStream('c_0');
    const metadata = await producer.addStream('metadata');
    return new Session(relay, producer, stream, metadata);
  }

  /** One packet, stored; each is 8 bytes of another pattern. */
  async packet(): Promise<void> {
    await this.producer.packet(this.stream, this.sent, pattern(8, Number(this.sent)));
    await this.producer.stored(this.stream, this.sent);
    this.sent += 1n;
  }

  text(text: string): void {
    this.producer.metadata(this.metadata, text);
  }

  create(chunk: bigint): Promise<void> {
    return this.producer.ok(r.createTraceChunk(chunk));
  }

  /** Both streams go over behind the last packet, metadata first. */
  async rotate(chunk?: bigint): Promise<void> {
    await this.producer.ok(r.rotateStreams([[this.metadata, 0n]], chunk));
    await this.producer.ok(r.rotateStreams([[this.stream, this.sent]], chunk));
    if (chunk !== undefined) await this.relay.made('c_0');
  }

  /** Files with their sizes, and empty directories, below the session's. */
  list(): string[] {
    return Object.entries(this.relay.tree())
      .map(([path, bytes]) => `${path.slice(session.length + 1)}${bytes === null ? '' : ` ${bytes.length}`}`)
      .sort();
  }

  async finish(): Promise<void> {
    await this.producer.finish([
      [this.metadata, r.noPacket],
      [this.stream, this.sent - 1n],
    ]);
    await this.relay.empty();
  }
}

/** Files of a chunk at `root` with so many packets of 8 bytes and so much metadata. */
function files(root: string, packets: number, metadataBytes: number): string[] {
  const at = root === '' ? ustPath : `${root}/${ustPath}`;
  const index = packets === 0 ? [] : [`${at}/index/c_0.idx ${16 + 72 * packets}`];
  return [`${at}/c_0 ${8 * packets}`, ...index, `${at}/metadata ${metadataBytes}`];
}

const list = (...groups: string[][]): string[] => groups.flat().sort();

test('stop and destroy, never rotated: everything stays in the session directory', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  s.text('abc');
  await s.rotate();
  t.is(await closeChunk(s.producer, 0n), session);
  t.false(await exists(s.producer, 0n));
  t.deepEqual(s.list(), files('', 1, 3));
  await s.finish();
  t.deepEqual(s.list(), files('', 1, 3));
});

test('rotate, and again, and destroy: what lies where after each command', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  s.text('abc');
  await s.create(1n);
  t.deepEqual(s.list(), list(['.tmp_new_chunk/'], files('.tmp_old_chunk', 1, 3)));
  await s.rotate(1n);
  t.deepEqual(s.list(), list(files('.tmp_new_chunk', 0, 0), files('.tmp_old_chunk', 1, 3)));
  t.is(await closeChunk(s.producer, 0n, 'move'), session, 'the first time the session directory');
  t.deepEqual(s.list(), list(files(settled(1), 0, 0), files(archived(0), 1, 3)));
  await s.packet();
  await s.packet();
  s.text('abcde');
  await s.create(2n);
  t.deepEqual(s.list(), list(['.tmp_new_chunk/'], files('.tmp_old_chunk', 2, 5), files(archived(0), 1, 3)));
  await s.rotate(2n);
  t.is(await closeChunk(s.producer, 1n, 'move'), `${session}/${archived(1)}`);
  t.deepEqual(s.list(), list(files(settled(2), 0, 0), files(archived(1), 2, 5), files(archived(0), 1, 3)));
  await s.rotate();
  t.is(await closeChunk(s.producer, 2n, 'move'), `${session}/${archived(2)}`);
  const all = list(files(archived(0), 1, 3), files(archived(1), 2, 5), files(archived(2), 0, 0));
  t.deepEqual(s.list(), all);
  await s.finish();
  t.deepEqual(s.list(), all);
});

test('clear while started, never rotated: the next chunk moves up into the session directory', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.create(1n);
  await s.rotate(1n);
  t.is(await closeChunk(s.producer, 0n, 'delete'), session);
  t.false(await exists(s.producer, 0n));
  t.deepEqual(s.list(), files('', 0, 0));
  await s.packet();
  await s.finish();
  t.deepEqual(s.list(), files('', 1, 0));
});

test('clear while started, rotated before: the archives stay, the next chunk has its own name', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.create(1n);
  await s.rotate(1n);
  await closeChunk(s.producer, 0n, 'move');
  await s.packet();
  await s.create(2n);
  await s.rotate(2n);
  t.is(
    await closeChunk(s.producer, 1n, 'delete'),
    `${session}/${archived(1)}`,
    'told as archived all the same',
  );
  t.deepEqual(s.list(), list(files(settled(2), 0, 0), files(archived(0), 1, 0)));
  await s.finish();
});

test('clear while stopped, never rotated: the directory is empty, and starting again fills it', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.rotate();
  await closeChunk(s.producer, 0n, 'delete');
  t.deepEqual(s.list(), ['']);
  await s.create(1n);
  await s.rotate(1n);
  t.deepEqual(s.list(), files('', 0, 0));
  await s.packet();
  await s.finish();
  t.deepEqual(s.list(), files('', 1, 0));
});

test('clear while stopped, rotated before: starting again makes a named chunk', async (t) => {
  const s = await Session.open(t);
  await s.create(1n);
  await s.rotate(1n);
  await closeChunk(s.producer, 0n, 'move');
  await s.packet();
  await s.rotate();
  await closeChunk(s.producer, 1n, 'delete');
  t.deepEqual(s.list(), files(archived(0), 0, 0));
  await s.create(2n);
  await s.rotate(2n);
  t.deepEqual(s.list(), list(files(archived(0), 0, 0), files(settled(2), 0, 0)));
  await s.finish();
});

test('rotate while stopped: only the archive is left, and starting again makes a named chunk', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.rotate();
  await closeChunk(s.producer, 0n, 'move');
  t.deepEqual(s.list(), files(archived(0), 1, 0));
  await s.create(1n);
  await s.rotate(1n);
  await s.packet();
  t.deepEqual(s.list(), list(files(archived(0), 1, 0), files(settled(1), 1, 0)));
  await s.finish();
});

test('a close without a command, as of producers 2.11, puts the chunk back beside its successor', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.create(1n);
  await s.rotate(1n);
  await closeChunk(s.producer, 0n);
  t.deepEqual(s.list(), list(files('', 1, 0), files(settled(1), 0, 0)));
  await s.finish();
});

test('a rotated session that closes its last chunk without a command keeps it under its name', async (t) => {
  const s = await Session.open(t);
  await s.create(1n);
  await s.rotate(1n);
  await closeChunk(s.producer, 0n, 'move');
  await s.packet();
  await s.rotate();
  t.is(await closeChunk(s.producer, 1n, 'none'), `${session}/${archived(1)}`);
  t.deepEqual(s.list(), list(files(archived(0), 0, 0), files(settled(1), 1, 0)));
  await s.finish();
});

test('snapshots lie under the names that they are given, one session each', async (t) => {
  const relay = await TestRelay.start(t);
  for (const [n, name] of ['snapshot-1-20231114-221322-0', 'mine-20231114-221323-1'].entries()) {
    const producer = await Producer.open(t, relay, { snapshot: true, chunk: undefined });
    await producer.ok(r.createTraceChunk(0n, name));
    const stream = await producer.addStream('c_0');
    const metadata = await producer.addStream('metadata');
    producer.metadata(metadata, 'abc');
    producer.frame(stream, BigInt(n), pattern(8));
    await producer.ok(r.closeStream(stream, BigInt(n)));
    t.is(await closeChunk(producer, 0n), `${session}/${name}`);
    await producer.ok(r.closeStream(metadata, r.noPacket));
    await producer.control.end();
    await producer.data.end();
    await relay.empty();
  }
  t.deepEqual(Object.keys(relay.tree()).sort(), [
    `${session}/mine-20231114-221323-1/${ustPath}/c_0`,
    `${session}/mine-20231114-221323-1/${ustPath}/metadata`,
    `${session}/snapshot-1-20231114-221322-0/${ustPath}/c_0`,
    `${session}/snapshot-1-20231114-221322-0/${ustPath}/metadata`,
  ]);
});

test('a clear is refused where it is not allowed, and the chunk stays', async (t) => {
  const s = await Session.open(t, { disallowClear: true });
  t.is((await s.producer.control.ask(r.getConfiguration(), 12)).toString('hex'), `0000000a${'0'.repeat(16)}`);
  await s.packet();
  await s.rotate();
  t.is(await refusal(s.producer, r.closeTraceChunk(0n, 2)), '0000009800000000');
  await s.producer.data.end();
  await s.relay.empty();
  t.deepEqual(s.list(), files('', 1, 0));
});

test('what the producer may not ask of its chunks is refused with the code of the protocol', async (t) => {
  const relay = await TestRelay.start(t);
  const ask = async (request: Buffer, before: Buffer[] = []): Promise<string> => {
    const producer = await Producer.open(t, relay);
    for (const one of before) await producer.ok(one);
    const reply = await refusal(producer, request);
    await producer.data.destroy();
    await relay.empty();
    return reply;
  };
  t.is(await ask(r.closeTraceChunk(5n, 0)), '0000001a00000000', 'an unknown chunk');
  t.is(await ask(r.closeTraceChunk(0n, 3)), '0000006100000000', 'an unknown command');
  t.is(await ask(r.createTraceChunk(0n)), '00000098', 'the chunk that is current');
  t.is(
    await ask(r.createTraceChunk(2n), [r.createTraceChunk(1n)]),
    '00000098',
    'a third before the first is closed',
  );
  t.is(
    await ask(r.closeTraceChunk(1n, 0), [r.createTraceChunk(1n)]),
    '0000009800000000',
    'the wrong one of two',
  );
  t.is(await ask(r.createTraceChunk(1n, '../x')), '00000061', 'a name that leads out');
  t.is(await ask(r.rotateStreams([], 7n)), '00000098', 'a rotation to an unknown chunk');
});

test('a producer that goes in the middle of a rotation leaves no temporary directory', async (t) => {
  const s = await Session.open(t);
  await s.packet();
  await s.create(1n);
  await s.producer.ok(r.rotateStreams([[s.stream, s.sent]], 1n));
  await s.producer.vanish();
  await s.relay.empty();
  t.deepEqual(
    s.list().filter((path) => path.startsWith('.tmp')),
    [],
  );
  t.true(s.list().some((path) => path.endsWith(`${ustPath}/c_0 8`)));
});

test('two sessions rotate side by side, each in its own directory', async (t) => {
  const relay = await TestRelay.start(t);
  const producers = await Promise.all(
    [0n, 1n].map((idSessiond) => Producer.open(t, relay, { idSessiond, sessionName: `s${idSessiond}` })),
  );
  const streams = await Promise.all(producers.map((producer) => producer.addStream('c_0')));
  for (const [n, producer] of producers.entries())
    await producer.packet(streams[n] as bigint, 0n, pattern(8, n));
  const [first, second] = producers as [Producer, Producer];
  await first.ok(r.createTraceChunk(1n));
  await second.ok(r.createTraceChunk(1n));
  await second.ok(r.rotateStreams([[streams[1] as bigint, 1n]], 1n));
  await closeChunk(second, 0n, 'move');
  t.false(await exists(second, 0n));
  t.true(await exists(first, 0n), 'the other session still has its chunk 0');
  await first.ok(r.rotateStreams([[streams[0] as bigint, 1n]], 1n));
  await closeChunk(first, 0n, 'delete');
  t.false(await exists(first, 0n));
  await first.vanish();
  await second.vanish();
  await relay.empty();
  t.deepEqual(Object.keys(relay.tree()).sort(), [
    `vm/s0-${r.creationDate}/${ustPath}/c_0`,
    `vm/s1-${r.creationDate}/${settled(1)}/${ustPath}/c_0`,
    `vm/s1-${r.creationDate}/${archived(0)}/${ustPath}/c_0`,
    `vm/s1-${r.creationDate}/${archived(0)}/${ustPath}/index/c_0.idx`,
  ]);
});
