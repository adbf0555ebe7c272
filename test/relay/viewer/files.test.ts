// Files that change under viewers: chunks are rotated and cleared, rings overwritten, metadata comes anew.

import { readdirSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import { until } from '../../helpers/relay.ts';
import * as r from '../../helpers/requests.ts';

/** What a rotation, clear or stop sends: to `chunk`, or to none; the old chunk is closed with `action`. */
async function change(
  scene: LiveScene,
  old: bigint,
  chunk: bigint | undefined,
  action?: number,
): Promise<void> {
  const { producer, metadata, stream } = scene;
  if (chunk !== undefined) await producer.ok(r.createTraceChunk(chunk, undefined, Number(chunk)));
  const at = BigInt(scene.packetsOf().length);
  await producer.ok(
    r.rotateStreams(
      [
        [stream, at],
        [metadata, 0n],
      ],
      chunk,
    ),
  );
  const reply = await producer.control.ask(r.closeTraceChunk(old, action), 8);
  await producer.control.read(reply.readUInt32BE(4));
  if (chunk !== undefined) producer.metadata(metadata, metadataText);
}

const actions = { 'rotated to the archives': 0, 'rotated and left where it is': 1, cleared: 2 } as const;

for (const [what, action] of Object.entries(actions))
  test(`a chunk that is ${what} is read to its end before the next one`, async (t) => {
    const scene = await LiveScene.open(t);
    await scene.send(3);
    const { viewer } = await scene.viewer();
    const slow = (await scene.viewer()).viewer;
    t.true((await viewer.next(scene.stream))?.equals(scene.packetsOf()[0] as Buffer));
    await change(scene, 0n, 1n, action);
    await scene.send(3);
    await change(scene, 1n, 2n, action);
    await scene.send(2);
    t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
    t.is((await viewer.metadata(scene.metadata)).status, 2);
    await scene.finish();
    t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf().slice(1));
    t.deepEqual(await slow.rest(scene.stream), scene.packetsOf());
    t.is((await slow.metadata(scene.metadata)).bytes.toString(), metadataText);
    t.is(unread(scene), 0);
    await gone(scene, [viewer, slow]);
  });

/** Packets that viewers lost, as the status tells. */
function unread(scene: LiveScene): number {
  const { viewers, unreadPackets } = scene.relay.status();
  return viewers
    .flatMap(({ sessions }) => sessions)
    .reduce((sum, { lostPackets }) => sum + lostPackets, unreadPackets);
}

/** The viewers leave, and nothing of what they held is open any more. */
async function gone(scene: LiveScene, viewers: { peer: { end(): Promise<void> } }[]): Promise<void> {
  for (const { peer } of viewers) await peer.end();
  await scene.relay.empty();
}

test('stop, clear and start again: the viewer waits between the chunks and goes on in the next', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await scene.viewer();
  await change(scene, 0n, undefined, 2);
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[1]);
  t.is((await viewer.index(scene.stream)).status, 'retry');
  await scene.producer.ok(r.createTraceChunk(1n));
  await scene.producer.ok(
    r.rotateStreams(
      [
        [scene.stream, 2n],
        [scene.metadata, 0n],
      ],
      1n,
    ),
  );
  scene.producer.metadata(scene.metadata, `${metadataText}, and more`);
  await scene.send(2);
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[2]);
  t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
  t.is((await viewer.metadata(scene.metadata)).bytes.toString(), ', and more');
  const late = (await scene.viewer()).viewer;
  t.deepEqual(await late.next(scene.stream), scene.packetsOf()[2], 'who comes later sees the current chunk');
  t.is((await late.metadata(scene.metadata)).bytes.toString(), `${metadataText}, and more`);
  await scene.finish();
  t.deepEqual(await late.rest(scene.stream), scene.packetsOf().slice(3));
});

test('who attaches between the rotation of a destroy and its end still gets what is there', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(4);
  await change(scene, 0n, undefined, 1);
  const { viewer } = await scene.viewer();
  await scene.finish();
  t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf());
  t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
});

test('who attaches after a clear has nothing of what was cleared, and has missed nothing', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(4);
  await change(scene, 0n, undefined, 2);
  const { viewer } = await scene.viewer();
  await scene.finish();
  t.is(await viewer.next(scene.stream), undefined);
  t.is(unread(scene), 0);
});

test('destroy: packets that were unread when the chunk went are served, then the stream hangs up', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(4);
  const { viewer } = await scene.viewer();
  await change(scene, 0n, undefined, 0);
  await scene.finish();
  t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf());
  t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
  await gone(scene, [viewer]);
});

/** A ring of three files with two packets each. */
const ring = { ring: { sizeBytes: 1100n, count: 3n } };

async function inRing(t: ExecutionContext): Promise<LiveScene> {
  const scene = await LiveScene.open(t, ring);
  await scene.send(2);
  return scene;
}

test('a ring that overwrites: what was missed is counted, and the next packet is the oldest that is left', async (t) => {
  const scene = await inRing(t);
  const { viewer } = await scene.viewer();
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
  await scene.send(14);
  // it was in the first file, and reads that to its end, though its name has gone to another
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[1]);
  const oldest = await viewer.next(scene.stream);
  const lost = scene.packetsOf().findIndex((packet) => oldest?.equals(packet)) - 2;
  t.true(lost >= 8 && lost <= 10, `${lost} lost`);
  t.is(unread(scene), lost);
  await scene.finish();
  t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf().slice(3 + lost));
  t.is(unread(scene), lost);
  await gone(scene, [viewer]);
  t.is(scene.relay.status().unreadPackets, lost);
});

test('a ring of one file: a viewer that was overtaken goes on, too', async (t) => {
  const scene = await LiveScene.open(t, { ring: { sizeBytes: 1100n, count: 1n } });
  await scene.send(1);
  const { viewer } = await scene.viewer();
  await scene.send(20);
  await scene.finish();
  const rest = await viewer.rest(scene.stream);
  t.deepEqual(rest.at(-1), scene.packetsOf().at(-1));
  t.is(rest.length + unread(scene), 21);
});

test('who attaches to a ring from the beginning begins with the oldest packet that is left, and has missed nothing', async (t) => {
  const scene = await inRing(t);
  await scene.send(9);
  const { viewer } = await scene.viewer();
  await scene.finish();
  const rest = await viewer.rest(scene.stream);
  t.true(rest.length >= 4 && rest.length <= 6);
  t.deepEqual(rest, scene.packetsOf().slice(-rest.length));
  t.is(unread(scene), 0);
});

test('a viewer that keeps up with a ring misses nothing, however often it goes round', async (t) => {
  const scene = await inRing(t);
  const { viewer } = await scene.viewer();
  const read: (Buffer | undefined)[] = [];
  for (let n = 0; n < 30; n += 1) {
    await scene.send(1);
    while (read.length < scene.packetsOf().length) read.push(await viewer.next(scene.stream));
  }
  t.deepEqual(read, scene.packetsOf());
  const files = () => readdirSync('/proc/self/fd').length;
  const before = files();
  for (let n = 0; n < 10; n += 1) {
    await scene.send(1);
    await viewer.next(scene.stream);
  }
  await until(
    () => files() <= before + 2,
    () => `${files()} descriptors, ${before} before`,
  );
});

test('with --sync packets and metadata are offered when they are durable', async (t) => {
  for (const durability of ['packet', 'sync'] as const) {
    const scene = await LiveScene.open(t, { relay: { durability } });
    const { viewer } = await scene.viewer();
    await scene.send(3);
    t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
    t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
    scene.producer.frame(scene.stream, 3n, Buffer.alloc(10));
    scene.producer.metadata(scene.metadata, 'more');
    await scene.producer.index(scene.stream, 3n, 10);
    await viewer.next(scene.stream);
    await viewer.next(scene.stream);
    t.is((await viewer.soon(scene.stream)).flags & 1, 1);
    t.is((await viewer.metadata(scene.metadata)).bytes.toString(), 'more');
  }
});
