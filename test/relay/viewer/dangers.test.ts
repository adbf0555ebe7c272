// What goes wrong with other relays, and must not here. Source: live-protocol, "Checklists" and "Dangers at a glance".
import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import * as r from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';
import { ScriptedViewer, seekLast } from '../../helpers/viewer.ts';

/** Where a file of the scene lies. */
function stored(scene: LiveScene, name: string): string {
  const path = Object.keys(scene.relay.tree()).find((each) => `/${each}`.endsWith(`/${name}`));
  return join(scene.relay.outputPath, path as string);
}

test('a connection without a viewer session, and one that did not attach, get errors and take nothing from others', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await scene.viewer();
  for (const create of [false, true]) {
    const stranger = await ScriptedViewer.open(t, scene.live, { create });
    t.like(await stranger.index(scene.stream), { status: 'error', flags: 0 });
    t.is((await stranger.packet(scene.stream, 0n, 1)).status, 3);
    t.is((await stranger.metadata(scene.metadata)).status, 3);
    t.like(await stranger.newStreams(scene.session), { status: 3, streams: [] });
    t.is(await stranger.detach(scene.session), 3);
  }
  t.is((await viewer.metadata(scene.metadata)).status, 1);
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
});

test('who detaches and attaches again begins anew', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await scene.viewer();
  await viewer.next(scene.stream);
  await viewer.metadata(scene.metadata);
  t.is(await viewer.detach(scene.session), 1);
  t.is((await viewer.index(scene.stream)).status, 'error');
  t.is((await viewer.attach(scene.session)).status, 1);
  t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
  t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
  await viewer.detach(scene.session);
  await viewer.attach(scene.session, seekLast);
  t.is((await viewer.index(scene.stream)).status, 'retry');
});

test('no packet is given before all in front of it are complete; then in the order of their records, as lttng-relayd does', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const packets = [0, 1, 2].map((n) => Buffer.alloc(100 + n, n));
  for (const [n, packet] of packets.entries()) scene.producer.frame(scene.stream, BigInt(n), packet);
  for (const n of [2, 1]) {
    await scene.producer.index(scene.stream, BigInt(n), 100 + n);
    t.is((await viewer.index(scene.stream)).status, 'retry');
  }
  await scene.producer.index(scene.stream, 0n, 100);
  for (const n of [2, 1, 0]) t.deepEqual(await viewer.next(scene.stream), packets[n]);
});

test('metadata that the disk does not give back is never promised: the connection ends without a reply', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(1);
  const { viewer } = await scene.viewer();
  truncateSync(stored(scene, 'metadata'), 3);
  await t.throwsAsync(viewer.metadata(scene.metadata), { message: /after 0 of 12 bytes/ });
  t.deepEqual(
    scene.relay.complaints(viewer.peer.name).map(({ code }) => code),
    ['MR_ERR_DISK_CHANGED'],
  );
});

test('files that somebody took away: each request is answered, and one line says why', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await scene.viewer();
  rmSync(stored(scene, 'index/c_0.idx'));
  t.is((await viewer.index(scene.stream)).status, 'error');
  t.deepEqual(
    scene.relay.complaints(viewer.peer.name).map(({ event, code }) => [event, code]),
    [['relay:unreadable', 'MR_ERR_DISK_READ']],
  );
  t.is((await viewer.list()).length, 1, 'the connection goes on');
});

for (const minor of [4, 7, 8, 10, 11, 14])
  test(`a live producer of 2.${minor} is read to its end`, async (t) => {
    const scene = await LiveScene.open(t, { producer: { minor } });
    await scene.send(1);
    const { viewer, streams } = await scene.viewer();
    t.is(streams.length, 2);
    await scene.send(2);
    const until = r.indexFacts(2n, 1).timestampEnd + 1n;
    await scene.producer.ok(r.beacon(minor, scene.stream, 2n, until));
    t.is((await viewer.metadata(scene.metadata)).bytes.toString(), metadataText);
    for (const packet of scene.packetsOf()) t.deepEqual(await viewer.next(scene.stream), packet);
    t.like(await viewer.index(scene.stream), { status: 'inactive', end: until });
    await scene.finish();
    t.is(await viewer.next(scene.stream), undefined);
    t.is((await viewer.newStreams(scene.session)).status, 4);
  });
