/** A relay that forwards: the next one gets what the producer sent, byte for byte, whatever happens in between. */
import { pattern } from '../../helpers/bytes.ts';
import { temporaryDirectory } from '../../helpers/disk.ts';
import { forwardTo, linked } from '../../helpers/forward.ts';
import { GoodSession } from '../../helpers/good-session.ts';
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
  t.like(relay.status().forward?.ways[0], { state: 'waiting' });
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

test('a link that breaks in the middle costs no packet: it goes on under a name that says so', async (t) => {
  const next = await TestRelay.start(t);
  const links = await linked(t, next);
  const relay = await TestRelay.start(t, { forward: forwardTo(temporaryDirectory(t), [links.ends]) });
  const session = await GoodSession.open(t, relay);
  await session.packets(10);
  await until(
    () => (relay.status().forward?.ways[0]?.acknowledged ?? 0) > 20,
    () => 'nothing acknowledged',
  );
  for (const link of links.all) link.cut();
  await session.packets(10);
  await session.finish();
  await relay.empty();
  await through(relay);
  await next.empty();
  const files = next.tree();
  const parts = Object.keys(files).filter((path) => path.endsWith('/c_0'));
  t.deepEqual(
    parts.map((path) => path.split('/')[1]).toSorted((a = '', b = '') => a.localeCompare(b)),
    [`good-${r.creationDate}`, `good-resumed-1-${r.creationDate}`],
  );
  t.truthy(relay.complaints().find(({ event }) => event === 'forward:resumed'));
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
