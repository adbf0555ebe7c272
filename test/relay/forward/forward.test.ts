/** A relay that forwards: the next one gets what the producer sent, byte for byte, whatever happens in between. */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { Spool } from '../../../lib/disk/spool.ts';
import { relaySink } from '../../../lib/relay/client/relay-sink.ts';
import { parseRoute } from '../../../lib/relay/client/route.ts';
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { forwardTo, linked } from '../../helpers/forward.ts';
import { FrameScript, packet, part, text } from '../../helpers/frame-script.ts';
import * as f from '../../helpers/frames.ts';
import { GoodSession } from '../../helpers/good-session.ts';
import { Link } from '../../helpers/link.ts';
import { Producer, ustPath } from '../../helpers/producer.ts';
import { TestRelay, until } from '../../helpers/relay.ts';
import * as r from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';

/** Every session has gone on, and nothing is left in the spools. */
const through = (relay: TestRelay) =>
  until(
    () => relay.status().forward?.ways.length === 0,
    () => JSON.stringify(relay.status().forward),
  );

test('the next relay gets what the producer sent, as well as this one', async (t) => {
  const next = await TestRelay.start(t);
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [next]) });
  const session = await GoodSession.open(t, relay);
  await session.packets(20);
  await session.finish();
  await relay.empty();
  await through(relay);
  await next.empty();
  session.verify(relay);
  session.verify(next);
  t.deepEqual(next.tree(), relay.tree());
});

test('two next relays get the same', async (t) => {
  const [a, b] = [await TestRelay.start(t), await TestRelay.start(t)];
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [a, b]) });
  const session = await GoodSession.open(t, relay, { minor: 8 });
  await session.packets(5);
  await session.finish();
  await relay.empty();
  await through(relay);
  await Promise.all([a.empty(), b.empty()]);
  t.deepEqual(a.tree(), relay.tree());
  t.deepEqual(b.tree(), relay.tree());
});

test('rotation, clear, live beacons and closes pass through', async (t) => {
  const next = await TestRelay.start(t);
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [next]) });
  const producer = await Producer.open(t, relay, { liveTimerUs: 500_000 });
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  await producer.ok(r.streamsSent());
  producer.metadata(metadata, 'one');
  await producer.packet(stream, 0n, pattern(100));
  await producer.ok(r.beacon(15, stream, 0n, 99n));
  await producer.ok(r.createTraceChunk(1n, undefined, 2));
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  await producer.ok(r.rotateStreams([[metadata, 0n]], 1n));
  producer.metadata(metadata, 'two');
  await producer.packet(stream, 1n, pattern(200));
  await producer.control
    .ask(r.closeTraceChunk(0n, 0), 8)
    .then((reply) => producer.control.read(reply.readUInt32BE(4)));
  // lttng clear: the packets of chunk 1 go
  await producer.ok(r.createTraceChunk(2n, undefined, 3));
  await producer.ok(r.rotateStreams([[stream, 2n]], 2n));
  await producer.ok(r.rotateStreams([[metadata, 0n]], 2n));
  producer.metadata(metadata, 'three');
  await producer.packet(stream, 2n, pattern(300));
  await producer.control
    .ask(r.closeTraceChunk(1n, 2), 8)
    .then((reply) => producer.control.read(reply.readUInt32BE(4)));
  await producer.stored(stream, 2n);
  await producer.ok(r.rotateStreams([[stream, 3n]]));
  await producer.ok(r.rotateStreams([[metadata, 0n]]));
  await producer.control
    .ask(r.closeTraceChunk(2n, 0), 8)
    .then((reply) => producer.control.read(reply.readUInt32BE(4)));
  await producer.finish([
    [metadata, r.noPacket],
    [stream, 2n],
  ]);
  await relay.empty();
  await through(relay);
  await next.empty();
  t.is(
    Object.keys(relay.tree()).filter((path) => path.endsWith('/c_0')).length,
    2,
    'the cleared chunk is gone',
  );
  t.deepEqual(next.tree(), relay.tree());
});

test('while the next relay is away the producer notices nothing; it gets everything when it is back', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  for (const link of links.all) link.isDown = true;
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [links.ends]) });
  const session = await GoodSession.open(t, relay);
  await session.packets(30);
  await session.finish();
  await relay.empty();
  t.is(relay.status().forward?.ways.length, 1, 'all of it waits');
  for (const link of links.all) link.isDown = false;
  await through(relay);
  await next.empty();
  t.deepEqual(next.tree(), relay.tree());
  t.is(
    relay.complaints().filter(({ event }) => event === 'forward:outage').length,
    1,
    'one line for the whole outage',
  );
});

/** What all directories of a session hold of a stream, in their order: packets with a record, and metadata. */
function whole(relay: TestRelay, name: string): Buffer {
  return Buffer.concat(packetsOf(relay, name));
}

function packetsOf(relay: TestRelay, name: string): Buffer[] {
  const files = relay.tree();
  const paths = Object.keys(files).filter((path) => path.endsWith(`/${name}`));
  return paths
    .toSorted((a, b) => a.localeCompare(b))
    .flatMap((path) => {
      const bytes = files[path] as Buffer;
      const index = files[path.replace(/\/([^/]+)$/, '/index/$1.idx')];
      if (name === 'metadata') return [bytes];
      const records = ((index?.length ?? 16) - 16) / 72;
      return Array.from({ length: records }, (_, n) => {
        const offset = Number(index?.readBigUInt64BE(16 + n * 72));
        return bytes.subarray(offset, offset + Number(index?.readBigUInt64BE(24 + n * 72)) / 8);
      });
    });
}

/** Sends packets, over links that are cut so often. */
async function throughCuts(
  session: GoodSession,
  links: readonly { cut(): void }[],
  cuts: number,
): Promise<void> {
  for (let cut = 0; cut < cuts; cut += 1) {
    await session.packets(25);
    for (const link of links) link.cut();
    await session.packets(3);
  }
}

test('a link that breaks in the middle: towards millrace the session goes on where it was', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [links.ends]) });
  const session = await GoodSession.open(t, relay);
  await throughCuts(session, links.all, 4);
  await session.finish();
  await relay.empty();
  await through(relay);
  await next.empty();
  t.deepEqual(next.tree(), relay.tree());
  t.regex(
    relay.complaints().find(({ event }) => event === 'forward:resumed')?.text ?? '',
    /no packet is there twice/,
  );
});

for (const kind of ['stores', 'stores nothing', 'is a hop'] as const)
  test(`a link that breaks in front of a relay that passes on, and ${kind}: no packet is lost or there twice`, async (t) => {
    const end = await TestRelay.start(t);
    const isHop = kind === 'is a hop';
    const forward = forwardTo(temporaryDirectory(t), [end], { noStore: kind === 'stores nothing' });
    const middle = await TestRelay.start(t, isHop ? { allowHops: true } : { forward });
    const links = await linked(t, middle);
    const way = forwardTo(temporaryDirectory(t), [links.ends]);
    const via = isHop ? `net://127.0.0.1:${end.control.port}:${end.data.port}` : undefined;
    const targets = way.targets.map((target) => ({ ...target, via }));
    const relay = await TestRelay.start(t, { forward: { ...way, targets } });
    const session = await GoodSession.open(t, relay);
    await throughCuts(session, links.all, 3);
    await session.finish();
    await relay.empty();
    await through(relay);
    await middle.empty();
    await through(middle);
    await end.empty();
    for (const name of ['c_0', 'c_1']) t.true(whole(end, name).equals(whole(relay, name)), name);
  });

test('a relay that passes on, stores nothing and dies: no packet is lost, and those that may be there twice are named', async (t) => {
  const end = await TestRelay.start(t);
  const forward = forwardTo(temporaryDirectory(t), [end], { noStore: true });
  const outputPath = temporaryDirectory(t);
  let middle = await TestRelay.start(t, { forward, outputPath });
  const links = [await Link.open(t, () => middle.control), await Link.open(t, () => middle.data)] as const;
  const ends = { control: links[0].address, data: links[1].address };
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [ends]) });
  const session = await GoodSession.open(t, relay);
  await session.packets(25);
  for (const link of links) link.isDown = true;
  for (const link of links) link.cut();
  await middle.relay.close();
  middle = await TestRelay.start(t, { forward, outputPath });
  for (const link of links) link.isDown = false;
  await session.packets(3);
  await session.finish();
  await relay.empty();
  await through(relay);
  await middle.empty();
  await through(middle);
  await end.empty();
  for (const name of ['c_0', 'c_1']) {
    const there = new Set(packetsOf(end, name).map((bytes) => bytes.toString('latin1')));
    for (const packet of packetsOf(relay, name)) t.true(there.has(packet.toString('latin1')), name);
    const doubled = packetsOf(end, name).length > packetsOf(relay, name).length;
    const resumed = relay.complaints().find(({ event }) => event === 'forward:resumed')?.text ?? '';
    if (doubled) t.regex(resumed, new RegExp(`may be there twice: .*${name}`));
  }
});

test('what was acknowledged before an outage does not hide what comes after it', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [links.ends]) });
  const session = await GoodSession.open(t, relay);
  await session.packets(10);
  const way = () => relay.status().forward?.ways[0];
  await until(
    () => way()?.acknowledged === way()?.frames,
    () => JSON.stringify(way()),
  );
  for (const link of links.all) link.cut();
  await until(
    () => way()?.outages === 1,
    () => JSON.stringify(way()),
  );
  await session.packets(10);
  await session.finish();
  await relay.empty();
  await through(relay);
  await next.empty();
  t.deepEqual(next.tree(), relay.tree());
});

test('packets that a full spool dropped are counted, and are index records with offset -1 at the next relay', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  for (const link of links.all) link.isDown = true;
  const given = { spoolSizeBytes: 400_000, whenFull: 'drop-oldest' } as const;
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [links.ends], given) });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  for (let n = 0; n < 40; n += 1) await producer.packet(stream, BigInt(n), pattern(50_000, n));
  await producer.stored(stream, 39n);
  for (const link of links.all) link.isDown = false;
  await producer.finish([[stream, 39n]]);
  await relay.empty();
  const dropped = relay.status().forward?.droppedPackets ?? 0;
  t.true(dropped > 0 && dropped < 40, `${dropped} dropped`);
  await through(relay);
  await next.empty();
  const files = next.tree();
  const directory = `${producer.outputPath}/${ustPath}`;
  const index = files[`${directory}/index/c_0.idx`] as Buffer;
  const offsets = Array.from({ length: 40 }, (_, n) => index.readBigUInt64BE(16 + n * 72));
  t.is(index.length, 16 + 40 * 72, 'every packet has a record');
  t.is(offsets.filter((offset) => offset === 0xffff_ffff_ffff_ffffn).length, dropped);
  t.is(files[`${directory}/c_0`]?.length, (40 - dropped) * 50_000);
});

/** Data files of sessions that pass a relay. */
function passing(outputPath: string): Stats[] {
  const root = join(outputPath, '.millrace', 'passing');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /c_\d_\d$/.test(path))
    .map((path) => statSync(join(root, path)));
}

test('--no-store: everything goes on, nothing stays', async (t) => {
  const next = await TestRelay.start(t);
  const forward = forwardTo(temporaryDirectory(t), [next], { noStore: true });
  const relay = await TestRelay.start(t, { forward });
  const session = await GoodSession.open(t, relay);
  await session.packets(20);
  const sizes = passing(relay.outputPath);
  t.deepEqual(
    sizes.map(({ blocks }) => blocks),
    sizes.map(() => 0),
    'packets take no room',
  );
  t.true(sizes.length > 0 && sizes.every(({ size }) => size > 0));
  await session.finish();
  await relay.empty();
  await through(relay);
  await next.empty();
  session.verify(next);
  t.deepEqual(
    Object.keys(relay.tree()).filter((path) => /c_0|metadata/.test(path)),
    [],
  );
});

test('what a forwarder that died has spooled is brought on by the next one', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  for (const link of links.all) link.isDown = true;
  const spoolPath = temporaryDirectory(t);
  const spool = Spool.create(`${spoolPath}/1-1-0`);
  spool.noted({ uri: 'target 0' });
  // the process that it stands for would have closed its file by dying
  t.teardown(() => spool.end());
  const script = new FrameScript()
    .batch(
      f.sessionOpen({ hostname: 'vm' }),
      f.chunkOpen(),
      f.streamOpen(),
      f.streamOpen({ stream: 9, channelName: 'metadata' }),
    )
    .batch(
      text('m'),
      ...packet(1, 0n, pattern(100)),
      ...packet(1, 1n, pattern(200, 1)),
      part(1, 2n, pattern(300), 0, 10),
    );
  for (const batch of script.batches) spool.append(batch);
  await until(
    () => spool.isWritten(1) && script.pool.inUse === 0,
    () => 'not written',
  );
  const relay = await TestRelay.start(t, { forward: forwardTo(spoolPath, [links.ends]) });
  for (const link of links.all) link.isDown = false;
  await through(relay);
  await next.empty();
  t.deepEqual(whole(next, 'ch_0'), Buffer.concat([pattern(100), pattern(200, 1)]));
  t.deepEqual(whole(next, 'metadata'), Buffer.from('m'));
});

test('a hop passes a session on to where the consumer says, if it is allowed to', async (t) => {
  const end = await TestRelay.start(t);
  const second = await TestRelay.start(t, { allowHops: true });
  const first = await TestRelay.start(t, { allowHops: true });
  const url = ({ control, data }: TestRelay) => `net://127.0.0.1:${control.port}:${data.port}`;
  const script = () =>
    new FrameScript()
      .batch(
        f.sessionOpen({ hostname: 'vm' }),
        f.chunkOpen(),
        f.streamOpen(),
        f.streamOpen({ stream: 9, channelName: 'metadata' }),
      )
      .batch(text('m'), ...packet(1, 0n, pattern(100)), f.streamEnd(undefined, 9), f.streamEnd(0n))
      .batch({ ...f.chunkDone(), action: 'none' }, f.sessionEnd());
  const { control, data, via } = parseRoute(`${url(first)},${url(second)},${url(end)}/sub`);
  t.deepEqual(await script().into(relaySink({ control, data, via })), { kind: 'end' });
  await until(
    () => [first, second].every((hop) => hop.status().forward?.ways.length === 0),
    () => 'on its way',
  );
  await end.empty();
  t.deepEqual(end.tree()['vm/sub/ust/uid/0/64-bit/ch_0'], pattern(100));
  for (const hop of [first, second]) t.false(Object.keys(hop.tree()).some((path) => path.endsWith('ch_0')));

  const closed = parseRoute(`${url(end)},${url(first)}`);
  const refused = await script().into(
    relaySink({ control: closed.control, data: closed.data, via: closed.via }),
  );
  t.like(refused, { kind: 'error', error: { code: 'MR_ERR_CLIENT_UNSUPPORTED' } });
});

test('with a full spool the producer is held back, and goes on when there is room', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  for (const link of links.all) link.isDown = true;
  const forward = forwardTo(temporaryDirectory(t), [links.ends], { spoolSizeBytes: 300_000 });
  const relay = await TestRelay.start(t, { forward });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  for (let n = 0; n < 40; n += 1) producer.frame(stream, BigInt(n), pattern(50_000, n));
  await until(
    () => (relay.status().forward?.spoolBytes ?? 0) > 300_000,
    () => 'never full',
  );
  const held = relay.status().forward?.spoolBytes ?? 0;
  t.true(held < 2_000_000, `${held} bytes`);
  for (const link of links.all) link.isDown = false;
  for (let n = 0; n < 40; n += 1) await producer.index(stream, BigInt(n), 50_000);
  await producer.stored(stream, 39n);
  await producer.finish([[stream, 39n]]);
  await relay.empty();
  await through(relay);
  await next.empty();
  const path = `${producer.outputPath}/${ustPath}/c_0`;
  t.true(next.tree()[path]?.equals(Buffer.concat(Array.from({ length: 40 }, (_, n) => pattern(50_000, n)))));
});
