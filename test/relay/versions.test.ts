/** Producers of every age. Source: relay-protocol, "Versions" and "Older producers and relays". */

import { pattern, u32 } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const ourVersion = '000000020000000f';

test('VERSION is answered with 2.15 whatever minor the producer says, and may be repeated', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  for (const minor of [...Array(17).keys(), 99, 0xffff_ffff])
    t.is((await peer.ask(r.version(minor), 8)).toString('hex'), ourVersion, `minor ${minor}`);
  await peer.end();
  await relay.empty();
  t.deepEqual(relay.complaints(), []);
});

test('a producer of another major version is told ours, then closed', async (t) => {
  const relay = await TestRelay.start(t);
  for (const major of [1, 3, 0]) {
    const peer = await Peer.connect(relay.control);
    peer.write(r.version(13, major));
    t.is((await peer.rest()).toString('hex'), ourVersion);
    await peer.closed;
    t.deepEqual(
      relay.complaints(peer.name).map(({ code }) => code),
      ['MR_ERR_RELAY_VERSION'],
    );
  }
  await relay.empty();
});

test('of several VERSIONs the last one counts', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  await peer.ask(r.version(15), 8);
  await peer.ask(r.version(4), 8);
  const reply = await peer.ask(r.createSession(4), 12);
  t.is(reply.readUInt32BE(8), 10);
  await peer.end();
});

test('GET_CONFIGURATION works before VERSION; an unknown question is refused and the connection stays', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  const asked = await peer.ask(r.getConfiguration(1n), 12);
  t.is(asked.toString('hex'), `00000098${'0'.repeat(16)}`);
  t.is((await peer.ask(r.getConfiguration(), 12)).readUInt32BE(0), 10);
  t.is((await peer.ask(r.version(15), 8)).toString('hex'), ourVersion);
  await peer.end();
});

test('START_DATA is answered with success, session or not', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  t.deepEqual(await peer.ask(r.request(r.codes.startData), 4), u32(10));
  await peer.end();
});

/** Where a producer before 2.11 puts its streams. */
const oldDirectory = `vm/s1-${r.creationDate}/${ustPath}`;

for (const minor of [1, 2, 3])
  test(`a minor ${minor} producer names no session, and its packets are stored without an index`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay, { minor });
    const stream = await producer.addStream('channel0_0');
    const metadata = await producer.addStream('metadata');
    producer.metadata(metadata, 'text');
    producer.frame(stream, 0n, pattern(100), 28);
    await producer.stored(stream, 0n);
    await producer.finish([
      [metadata, r.noPacket],
      [stream, 0n],
    ]);
    await relay.empty();
    t.deepEqual(relay.tree(), {
      [`${oldDirectory}/channel0_0`]: Buffer.concat([pattern(100), Buffer.alloc(28)]),
      [`${oldDirectory}/metadata`]: Buffer.from('text'),
    });
    t.deepEqual(relay.complaints(), []);
  });

for (const minor of [4, 7, 8, 10])
  test(`a minor ${minor} producer gets index files of version 1.${minor < 8 ? 0 : 1} below the path it sends`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay, { minor });
    const stream = await producer.addStream('channel0_0');
    const metadata = await producer.addStream('metadata');
    await producer.ok(r.streamsSent());
    producer.metadata(metadata, 'text');
    await producer.packet(stream, 0n, pattern(100), 28);
    await producer.packet(stream, 1n, pattern(128, 1));
    await producer.stored(stream, 1n);
    await producer.finish([
      [metadata, r.noPacket],
      [stream, 1n],
    ]);
    await relay.empty();
    t.deepEqual(relay.tree(), {
      [`${oldDirectory}/channel0_0`]: Buffer.concat([pattern(100), Buffer.alloc(28), pattern(128, 1)]),
      [`${oldDirectory}/index/channel0_0.idx`]: r.indexFile(minor, [
        [0, r.indexFacts(0n, 128)],
        [128, r.indexFacts(1n, 128)],
      ]),
      [`${oldDirectory}/metadata`]: Buffer.from('text'),
    });
    t.deepEqual(relay.complaints(), []);
  });

test('grouped by session, the path of a producer before 2.11 changes its first two parts', async (t) => {
  const relay = await TestRelay.start(t, { groupOutputBy: 'session' });
  const producer = await Producer.open(t, relay, { minor: 10 });
  const metadata = await producer.addStream('metadata');
  await producer.finish([[metadata, r.noPacket]]);
  await relay.empty();
  t.deepEqual(Object.keys(relay.tree()), [`s1/vm-${r.creationDate}/${ustPath}/metadata`]);
});

for (const minor of [11, 12, 14])
  test(`a minor ${minor} producer opens its session in the layout before 2.15`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay, { minor });
    t.is(producer.outputPath, `vm/s1-${r.creationDate}`);
    const stream = await producer.addStream('channel0_0');
    await producer.packet(stream, 0n, pattern(64));
    await producer.stored(stream, 0n);
    await producer.finish([[stream, 0n]]);
    await relay.empty();
    t.deepEqual(
      relay.tree()[`${oldDirectory}/index/channel0_0.idx`],
      r.indexFile(minor, [[0, r.indexFacts(0n, 64)]]),
    );
  });

test('a minor 15 producer must say CTF 1.8 or CTF 2', async (t) => {
  const relay = await TestRelay.start(t);
  const second = await Producer.open(t, relay, { traceFormat: 2 });
  await second.vanish();
  for (const traceFormat of [0, 3, 0xffff_ffff]) {
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(r.createSession(15, { traceFormat }));
    t.is((await peer.rest()).toString('hex'), `${'0'.repeat(16)}00000019${'0'.repeat(8)}`);
  }
});

test('chunk commands in a session before 2.11 close the connection without a reply', async (t) => {
  const relay = await TestRelay.start(t);
  for (const request of [
    r.createTraceChunk(0n),
    r.closeTraceChunk(0n),
    r.traceChunkExists(0n),
    r.rotateStreams([]),
  ]) {
    const producer = await Producer.open(t, relay, { minor: 10 });
    producer.control.write(request);
    t.is((await producer.control.rest()).length, 0);
    await producer.control.closed;
    await producer.vanish();
  }
  await relay.empty();
});

test('every command that needs a session closes the connection without a reply when there is none', async (t) => {
  const relay = await TestRelay.start(t);
  for (const request of [
    r.addStream(15, { channelName: 'c_0', path: 'ust' }),
    r.streamsSent(),
    r.sendMetadata(1n, Buffer.from('x')),
    r.resetMetadata(1n),
    r.closeStream(1n, 0n),
    r.sendIndex(15, 1n, 0n, r.indexFacts(0n, 8)),
    r.beginDataPending(1n),
    r.dataPending(1n, 0n),
    r.quiescentControl(1n),
    r.endDataPending(1n),
    r.createTraceChunk(0n),
    r.closeTraceChunk(0n),
    r.traceChunkExists(0n),
    r.rotateStreams([]),
  ]) {
    const peer = await Peer.connect(relay.control);
    await peer.ask(r.version(15), 8);
    peer.write(request);
    t.is((await peer.rest()).length, 0, request.toString('hex'));
    await peer.closed;
    t.deepEqual(
      relay.complaints(peer.name).map(({ code }) => code),
      ['MR_ERR_RELAY_STATE'],
    );
  }
  await relay.empty();
});
