// Which sessions and streams a viewer is shown, and when they are over. Source: live-protocol, §4, §7 and §15.
import test from 'ava';
import { u64 } from '../../helpers/bytes.ts';
import { LiveScene } from '../../helpers/live.ts';
import { Peer } from '../../helpers/peer.ts';
import { Producer, ustPath } from '../../helpers/producer.ts';
import { TestRelay } from '../../helpers/relay.ts';
import * as r from '../../helpers/requests.ts';
import { connectRequest, flagStream, ScriptedViewer, seekLast, viewerRequest } from '../../helpers/viewer.ts';

test('CONNECT: our own minor whatever the viewer says, a counter, and type 0', async (t) => {
  const relay = await TestRelay.start(t);
  const { live } = relay.relay.addresses;
  const ids: bigint[] = [];
  for (const minor of [0, 4, 15, 99]) {
    const viewer = await ScriptedViewer.open(t, live, { minor, create: false });
    ids.push(viewer.connected.readBigUInt64BE(0));
    t.is(viewer.connected.readUInt32BE(16), 0);
  }
  t.deepEqual(ids, [1n, 2n, 3n, 4n]);
  const again = await ScriptedViewer.open(t, live);
  t.is((await again.peer.ask(connectRequest(), 20)).readBigUInt64BE(0), 6n);
  const notification = await Peer.connect(live);
  t.teardown(() => notification.destroy());
  t.is((await notification.ask(connectRequest(4, { type: 2 }), 20)).readBigUInt64BE(0), 0n);
});

test('a viewer that comes as soon as the relay listens is served; one that waits when the relay ends is let go', async (t) => {
  const first = await TestRelay.start(t);
  const served = await Peer.connect(first.relay.addresses.live);
  t.is((await served.ask(connectRequest(), 20)).readUInt32BE(8), 2);
  await served.destroy();
  const second = await TestRelay.start(t);
  const peer = await Peer.connect(second.relay.addresses.live);
  const isClosed = second.relay.close();
  t.is((await peer.rest()).length, 0);
  await isClosed;
});

for (const [what, bytes, reply] of [
  ['another major version', connectRequest(4, { major: 3 }), ''],
  ['an unknown connection type', connectRequest(4, { type: 3 }), ''],
  ['any command before CONNECT', viewerRequest(2), ''],
  ['a command that does not exist', Buffer.concat([connectRequest(), viewerRequest(10)]), '0000000b'],
  [
    'a private command from a stranger',
    Buffer.concat([connectRequest(), viewerRequest(0x6d690001, u64(1))]),
    '0000000b',
  ],
] as const)
  test(`${what} ends the connection, and one line says why`, async (t) => {
    const relay = await TestRelay.start(t);
    const peer = await Peer.connect(relay.relay.addresses.live);
    t.teardown(() => peer.destroy());
    peer.write(bytes);
    const rest = await peer.rest();
    t.is(rest.subarray(bytes.length > 36 ? 20 : 0).toString('hex'), reply);
    t.is(relay.complaints(peer.name).length, 1);
    await relay.empty();
  });

test('three requests in one segment, and a request byte by byte, are answered in order', async (t) => {
  const { live } = (await TestRelay.start(t)).relay.addresses;
  const peer = await Peer.connect(live);
  t.teardown(() => peer.destroy());
  const bytes = Buffer.concat([connectRequest(), viewerRequest(2), viewerRequest(8)]);
  t.is((await peer.ask(bytes, 28)).toString('hex', 8), '000000020000000f000000000000000000000001');
  for (const byte of viewerRequest(8)) {
    peer.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  t.is((await peer.read(4)).readUInt32BE(0), 1);
});

test('the list: every connected session, live or not, with names cut to the old fields', async (t) => {
  const scene = await LiveScene.open(t);
  const long = `${'h'.repeat(62)}é`;
  await Producer.open(t, scene.relay, { sessionName: 'plain', hostname: long, idSessiond: 1n });
  await Producer.open(t, scene.relay, {
    sessionName: 'ctf2',
    liveTimerUs: 5,
    traceFormat: 2,
    idSessiond: 2n,
  });
  const { viewer } = await scene.viewer();
  const list = (await viewer.list()).sort((a, b) => Number(a.id - b.id));
  t.deepEqual(list, [
    { id: 1n, timer: 1_000_000, clients: 1, streams: 2, host: 'vm', name: 's1' },
    { id: 2n, timer: 0, clients: 0, streams: 0, host: 'h'.repeat(62), name: 'plain' },
  ]);
  const modern = await ScriptedViewer.open(t, scene.live, { minor: 15 });
  t.deepEqual(
    (await modern.list()).map(({ host, format }) => [host, format]),
    [
      ['vm', 0],
      [long, 0],
      ['vm', 1],
    ],
  );
  t.is((await viewer.attach(3n)).status, 3);
  t.is((await modern.attach(3n)).status, 1);
  await scene.finish();
  t.false((await viewer.list()).some(({ id }) => id === 1n));
});

test('ATTACH: every refusal, tested before anything is attached', async (t) => {
  const scene = await LiveScene.open(t);
  await Producer.open(t, scene.relay, { sessionName: 'plain', idSessiond: 1n });
  const viewer = await ScriptedViewer.open(t, scene.live, { create: false });
  t.is((await viewer.attach(1n)).status, 6);
  await viewer.create();
  t.is((await viewer.attach(4711n)).status, 3);
  t.is((await viewer.attach(2n)).status, 4);
  t.is((await viewer.attach(1n, 3)).status, 5);
  t.is((await viewer.attach(1n, 0)).status, 5);
  t.is((await viewer.list())[0]?.clients, 0);
  t.is((await viewer.attach(1n)).status, 1);
  t.is((await viewer.attach(1n)).status, 2);
  t.is(await viewer.create(), 1);
  t.is((await viewer.attach(1n)).status, 2);
  t.is(await viewer.detach(4711n), 2);
  t.is(await viewer.detach(2n), 3);
  t.is(await viewer.detach(1n), 1);
  t.is((await viewer.attach(1n)).status, 1);
  t.like(await viewer.newStreams(2n), { status: 3, streams: [] });
});

test('streams are shown when they are all sent, together, and only with their metadata', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const { producer, session } = scene;
  const late = await producer.addStream('late_0', 'ust/uid/7/64-bit');
  t.like(await viewer.newStreams(session), { status: 1, streams: [] });
  await producer.ok(r.streamsSent());
  t.like(await viewer.newStreams(session), { status: 1, streams: [] });
  t.is((await viewer.index(scene.stream)).flags & flagStream, 0);
  const text = await producer.addStream('metadata', 'ust/uid/7/64-bit');
  await producer.ok(r.streamsSent());
  t.is((await viewer.index(scene.stream)).flags & flagStream, flagStream);
  t.is((await viewer.index(scene.stream)).flags & flagStream, flagStream);
  const { streams } = await viewer.newStreams(session);
  t.deepEqual(
    streams.map(({ id, channel, path }) => [id, channel, path]),
    [
      [text, 'metadata', 'ust/uid/7/64-bit'],
      [late, 'late_0', 'ust/uid/7/64-bit'],
    ],
  );
  t.is((await viewer.index(scene.stream)).flags & flagStream, 0);
  t.like(await viewer.newStreams(session), { status: 1, streams: [] });
});

test('a program that came and went between two questions is read to its end', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer(seekLast);
  const { producer, session } = scene;
  for (const program of ['a', 'b']) {
    const path = `ust/pid/${program}-1-20231114-221320`;
    const data = await producer.addStream('c_0', path);
    const text = await producer.addStream('metadata', path);
    await producer.ok(r.streamsSent());
    producer.metadata(text, `text of ${program}`);
    await producer.packet(data, 0n, Buffer.from(`packet of ${program}`));
    await producer.ok(r.closeStream(data, 0n));
    await producer.ok(r.closeStream(text, r.noPacket));
  }
  const { streams } = await viewer.newStreams(session);
  t.deepEqual(
    streams.map(({ channel }) => channel),
    ['metadata', 'metadata', 'c_0', 'c_0'],
  );
  t.is(new Set(streams.map(({ trace }) => trace)).size, 2);
  const seen: string[] = [];
  for (const { id, metadata } of streams) {
    if (metadata) seen.push((await viewer.metadata(id)).bytes.toString());
    else seen.push(String(await viewer.next(id)));
  }
  t.deepEqual(seen, ['text of a', 'text of b', 'packet of a', 'packet of b']);
  for (const { id, metadata } of streams) if (!metadata) t.is(await viewer.next(id), undefined);
  // never an error before it was said that there is no more
  for (const { id, metadata } of streams)
    if (metadata)
      t.deepEqual([(await viewer.metadata(id)).status, (await viewer.metadata(id)).status], [3, 3]);
  t.is((await viewer.newStreams(session)).status, 1);
  await scene.finish();
  await viewer.rest(scene.stream);
  t.is((await viewer.newStreams(session)).status, 4);
});

test('while a viewer does not know of a stream, no time gets ahead of it, and time goes on all the same', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const { producer } = scene;
  await viewer.metadata(scene.metadata);
  const beacon = (cycles: bigint) => producer.ok(r.beacon(15, scene.stream, r.noPacket, cycles));
  await beacon(1000n);
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: 1000n });
  await producer.addStream('d_0', ustPath);
  await beacon(2000n);
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: 1001n, flags: 0 });
  await producer.ok(r.streamsSent());
  await beacon(3000n);
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: 1002n, flags: flagStream });
  t.is((await viewer.newStreams(scene.session)).streams.length, 1);
  await beacon(4000n);
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: 4000n });
});

test('a beacon is kept back for a while, in case it is older than a stream that is about to be shown', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { beaconGraceMs: 60_000 } } });
  const { viewer } = await scene.viewer();
  await scene.producer.ok(r.beacon(15, scene.stream, r.noPacket, 1000n));
  t.is((await viewer.index(scene.stream)).status, 'retry');
});

test('last packets before a producer vanishes are read, then every stream hangs up, then the session', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  await scene.send(3);
  await scene.producer.vanish();
  t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf());
  t.is((await viewer.newStreams(scene.session)).status, 4);
  t.deepEqual(await viewer.list(), []);
  t.is((await viewer.attach(scene.session)).status, 3);
  t.is(await viewer.detach(scene.session), 1);
  t.is(await viewer.detach(scene.session), 2);
});

test('one viewer on two sessions, and none sees the streams of the other', async (t) => {
  const one = await LiveScene.open(t);
  const two = await LiveScene.on(t, one.relay, { producer: { sessionName: 's2', idSessiond: 1n } });
  await one.send(2);
  await two.send(3);
  const { viewer } = await one.viewer();
  t.is((await viewer.index(two.stream)).status, 'error');
  t.is((await viewer.packet(two.stream, 0n, 1)).status, 3);
  t.is((await viewer.metadata(two.metadata)).status, 3);
  t.is((await viewer.attach(two.session)).status, 1);
  for (const scene of [two, one])
    for (const sent of scene.packetsOf()) t.true((await viewer.next(scene.stream))?.equals(sent));
});

test('more streams than one reply holds: the others are in the next', async (t) => {
  const channels = Array.from({ length: 25 }, (_, n) => `c_${n}`);
  const scene = await LiveScene.open(t, { channels, relay: { limits: { streamsPerReply: 10 } } });
  const { viewer, streams } = await scene.viewer();
  const seen = [...streams];
  t.is(seen.length, 10);
  t.true(seen[0]?.metadata);
  t.is((await viewer.index(scene.stream)).flags & flagStream, flagStream);
  while (seen.length < 26) seen.push(...(await viewer.newStreams(scene.session)).streams);
  t.is(new Set(seen.map(({ id }) => id)).size, 26);
});
