// What a viewer gets of a session: the oracle is what the producer sent. Source of the answers: live-protocol, §4, §8, §10.
import test from 'ava';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import * as r from '../../helpers/requests.ts';
import { flagMetadata, seekLast } from '../../helpers/viewer.ts';

test('from the beginning: every packet, byte for byte, then inactivity, then hang-up', async (t) => {
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'] });
  await scene.send(5);
  const { viewer, streams } = await scene.viewer();
  t.deepEqual(
    streams.map(({ channel, metadata, path }) => [channel, metadata, path]),
    [
      ['metadata', true, 'ust/uid/0/64-bit'],
      ['c_0', false, 'ust/uid/0/64-bit'],
      ['c_1', false, 'ust/uid/0/64-bit'],
    ],
  );
  t.is(new Set(streams.map(({ trace }) => trace)).size, 1);
  t.deepEqual(await viewer.metadata(scene.metadata), { status: 1, bytes: Buffer.from(metadataText) });
  t.deepEqual(await viewer.metadata(scene.metadata), { status: 2, bytes: Buffer.alloc(0) });
  for (const [n, sent] of scene.packetsOf().entries()) {
    const index = await viewer.index(scene.stream);
    const facts = r.indexFacts(BigInt(n), sent.length);
    t.like(index, {
      status: 'ok',
      flags: 0,
      packetBytes: sent.length,
      contentBits: facts.contentSizeBits,
      begin: facts.timestampBegin,
      end: facts.timestampEnd,
      discarded: facts.eventsDiscarded,
      streamClass: facts.streamClassId,
    });
    const packet = await viewer.packet(scene.stream, index.offset, sent.length);
    t.is(packet.status, 1);
    t.true(packet.bytes.equals(sent), `packet ${n}`);
  }
  t.is((await viewer.index(scene.stream)).status, 'retry');
  const until = r.indexFacts(4n, 1).timestampEnd + 100n;
  await scene.producer.ok(r.beacon(15, scene.stream, 4n, until));
  t.like(await viewer.index(scene.stream), {
    status: 'inactive',
    end: until,
    streamClass: 5n,
    packetBytes: 0,
  });
  await scene.send(1);
  t.true((await viewer.next(scene.stream))?.equals(scene.packetsOf()[5] as Buffer));
  await scene.send(3, scene.channels[1]);
  await scene.finish();
  t.is(await viewer.next(scene.stream), undefined);
  const rest = await viewer.rest(scene.channels[1] as bigint);
  t.deepEqual(rest, scene.packetsOf(scene.channels[1]));
  t.like(await viewer.newStreams(scene.session), { status: 4, streams: [] });
  t.is(await viewer.detach(scene.session), 1);
  await viewer.peer.end();
  await scene.relay.empty();
});

test('from now: nothing of what was stored before, everything of what comes after', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(4);
  const { viewer } = await scene.viewer(seekLast);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  await scene.send(2);
  await scene.finish();
  t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf().slice(4));
  t.is((await viewer.index(scene.stream)).status, 'error');
});

test('a packet is not offered before both halves are there, in either order', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const packet = Buffer.alloc(100, 1);
  scene.producer.frame(scene.stream, 0n, packet);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  await scene.producer.index(scene.stream, 0n, 100);
  t.true((await viewer.next(scene.stream))?.equals(packet));
  await scene.producer.index(scene.stream, 1n, 100);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  scene.producer.frame(scene.stream, 1n, packet);
  t.true((await viewer.next(scene.stream))?.equals(packet));
});

test('metadata that came before an index is there when the packet is, and the flag says so; only then', async (t) => {
  const scene = await LiveScene.open(t, { metadata: false });
  const { viewer } = await scene.viewer();
  t.is((await viewer.metadata(scene.metadata)).status, 2);
  t.like(await viewer.index(scene.stream), { status: 'retry', flags: 0 });
  scene.producer.frame(scene.stream, 0n, Buffer.alloc(50));
  scene.producer.metadata(scene.metadata, 'first', 3);
  await scene.producer.index(scene.stream, 0n, 50);
  t.like(await viewer.soon(scene.stream), { status: 'ok', flags: flagMetadata });
  t.is((await viewer.metadata(scene.metadata)).bytes.toString('latin1'), 'first\0\0\0');
  scene.producer.metadata(scene.metadata, 'second');
  scene.producer.metadata(scene.metadata, 'third');
  await scene.send(0);
  await scene.producer.pending(scene.stream, 0n);
  t.like(await viewer.index(scene.stream), { status: 'retry', flags: flagMetadata });
  t.is((await viewer.metadata(scene.metadata)).bytes.toString('latin1'), 'secondthird');
  t.like(await viewer.index(scene.stream), { status: 'retry', flags: 0 });
});

test('a metadata command is handed out whole or not at all', async (t) => {
  const scene = await LiveScene.open(t, { metadata: false });
  const { viewer } = await scene.viewer();
  const command = r.sendMetadata(scene.metadata, Buffer.alloc(3000, 'm'));
  scene.producer.control.write(command.subarray(0, 1500));
  for (let n = 0; n < 3; n += 1) t.is((await viewer.metadata(scene.metadata)).status, 2);
  scene.producer.control.write(command.subarray(1500));
  await scene.producer.pending(scene.stream, r.noPacket);
  t.is((await viewer.metadata(scene.metadata)).bytes.length, 3000);
});

test('GET_PACKET: parts of a packet, nothing, and never anything behind what is committed', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await scene.viewer();
  const [first, second] = scene.packetsOf() as [Buffer, Buffer];
  const both = Buffer.concat([first, second]);
  t.is((await viewer.packet(scene.stream, 0n, 10)).status, 3);
  t.is((await viewer.index(scene.stream)).status, 'ok');
  const part = async (offset: bigint, bytes: number) => viewer.packet(scene.stream, offset, bytes);
  t.deepEqual(await part(100n, 50), { status: 1, bytes: first.subarray(100, 150) });
  t.deepEqual(await part(0n, both.length), { status: 1, bytes: both });
  t.deepEqual(await part(7n, 0), { status: 1, bytes: Buffer.alloc(0) });
  const refused = { status: 3, bytes: Buffer.alloc(0) };
  t.deepEqual(await part(1n, both.length), refused);
  t.deepEqual(await part(0n, 0xffff_ffff), refused);
  t.deepEqual(await part(0n, 0xffff_fff4), refused);
  t.deepEqual(await part(2n ** 64n - 1n, 1), refused);
  t.deepEqual(await viewer.packet(4711n, 0n, 1), refused);
  scene.producer.frame(scene.stream, 2n, Buffer.alloc(100));
  await scene.producer.pending(scene.stream, 1n);
  t.deepEqual(await part(BigInt(both.length), 1), refused);
});

test('whatever was read ahead, a viewer gets the bytes that it asks for: other streams, other places, other lengths', async (t) => {
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'] });
  const [one, two] = scene.channels as [bigint, bigint];
  await scene.send(12, one, 700_000);
  await scene.send(12, two, 90_000);
  const { viewer } = await scene.viewer();
  // the files are open from the first packets on
  for (const stream of [one, two]) t.true((await viewer.next(stream))?.equals(packet(stream, 0)));
  function packet(stream: bigint, n: number): Buffer {
    return scene.packetsOf(stream)[n] as Buffer;
  }
  for (let n = 1; n < 12; n += 1) {
    const [of1, of2] = [await viewer.index(one), await viewer.index(two)];
    const whole = packet(one, n);
    const part = async (start: number, bytes: number) => {
      const got = await viewer.packet(one, of1.offset + BigInt(start), bytes);
      t.true(
        got.bytes.equals(whole.subarray(start, start + bytes)),
        `packet ${n}, ${bytes} bytes at ${start}`,
      );
    };
    await part(0, 1 + n * 20_000);
    t.true((await viewer.packet(two, of2.offset, of2.packetBytes)).bytes.equals(packet(two, n)));
    await part(262_144, 262_144);
    await part(524_288, 1000);
    await part(525_288, whole.length - 525_288);
    if (n % 3 === 0) await part(0, whole.length);
  }
});

test('a packet larger than what may wait for a viewer comes whole', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2, scene.stream, 3_000_000);
  const { viewer } = await scene.viewer();
  for (const sent of scene.packetsOf()) t.true((await viewer.next(scene.stream))?.equals(sent));
});

test('beacons: before the first packet, never backwards, with the class of the packets, and none that a packet overtook', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const beacon = (cycles: bigint) => scene.producer.ok(r.beacon(15, scene.stream, 0n, cycles));
  const { timestampBegin, timestampEnd } = r.indexFacts(0n, 1);
  await beacon(timestampBegin - 20n);
  t.like(await viewer.index(scene.stream), {
    status: 'inactive',
    end: timestampBegin - 20n,
    streamClass: 5n,
  });
  await beacon(timestampBegin - 30n);
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: timestampBegin - 20n });
  scene.producer.frame(scene.stream, 0n, Buffer.alloc(64));
  await scene.producer.index(scene.stream, 0n, 64);
  await scene.producer.stored(scene.stream, 0n);
  t.is((await viewer.index(scene.stream)).status, 'ok');
  t.is((await viewer.index(scene.stream)).status, 'retry');
  await beacon(timestampEnd - 1n);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  // the packet's data is under way when the beacon comes: the beacon waits for it
  await scene.producer.index(scene.stream, 1n, 64);
  const later = r.indexFacts(1n, 1).timestampEnd + 5n;
  await beacon(later);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  scene.producer.frame(scene.stream, 1n, Buffer.alloc(64));
  t.is((await viewer.soon(scene.stream)).status, 'ok');
  t.like(await viewer.index(scene.stream), { status: 'inactive', end: later });
});

test('the beacon of a stream whose class is not known yet is no answer', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const unknown = { ...r.indexFacts(0n, 0), packetSizeBits: 0n, streamClassId: 2n ** 64n - 1n };
  await scene.producer.ok(r.sendIndex(15, scene.stream, r.noPacket, unknown));
  t.is((await viewer.index(scene.stream)).status, 'retry');
});

test('index requests for streams that are not there, or that are metadata', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  t.like(await viewer.index(4711n), { status: 'error', flags: 0 });
  t.is((await viewer.index(scene.metadata)).status, 'hangUp');
  t.is((await viewer.index(scene.metadata)).status, 'hangUp');
  t.is((await viewer.metadata(scene.stream)).status, 3);
  t.is((await viewer.metadata(4711n)).status, 3);
});
