// Places of millrace viewers outlive their connections for a while: whoever says the same key gets them back.
import type { ExecutionContext } from 'ava';
import { join, u32, u64 } from '../../helpers/bytes.ts';
import { LiveScene } from '../../helpers/live.ts';
import { until } from '../../helpers/relay.ts';
import { test } from '../../helpers/serial.ts';
import { ScriptedViewer, viewerRequest } from '../../helpers/viewer.ts';

const millraceId = 0x6d696c6c72616365n;

/** A viewer that attaches the scene's session under a key. */
async function attach(t: ExecutionContext, scene: LiveScene, key: bigint, keepSeconds = 60) {
  const viewer = await ScriptedViewer.open(t, scene.live, { minor: 15, id: millraceId });
  const payload = join(u64(scene.session), u64(key), u32(1), u32(keepSeconds));
  const head = await viewer.peer.ask(viewerRequest(0x6d690003, payload), 12);
  const [status, isKept, streams] = [0, 4, 8].map((at) => head.readUInt32BE(at)) as [number, number, number];
  await viewer.peer.read(4371 * streams);
  return { viewer, status, isKept, streams };
}

const detached = (scene: LiveScene) =>
  scene.relay.told.filter(({ event }) => event === 'relay:viewer-detached').map(({ facts }) => facts.peer);

async function vanish(scene: LiveScene, viewer: ScriptedViewer): Promise<void> {
  const { name } = viewer.peer;
  await viewer.peer.destroy();
  await until(
    () => scene.relay.status().viewers.every(({ peer }) => peer !== name),
    () => 'the viewer is still there',
  );
}

test('the packet given out last is given again, for its reply may have been lost; then the next', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(3);
  const first = await attach(t, scene, 7n);
  t.like(first, { status: 1, isKept: 0, streams: 2 });
  await first.viewer.metadata(scene.metadata);
  await first.viewer.next(scene.stream);
  await first.viewer.next(scene.stream);
  t.is((await first.viewer.list())[0]?.clients, 1);
  await vanish(scene, first.viewer);
  const stranger = await attach(t, scene, 8n);
  t.like(stranger, { status: 1, isKept: 0 });
  t.is((await stranger.viewer.list())[0]?.clients, 1, 'who is away is not counted');
  const back = await attach(t, scene, 7n);
  t.like(back, { status: 1, isKept: 1, streams: 2 });
  t.is((await back.viewer.metadata(scene.metadata)).status, 1, 'and metadata from its beginning');
  await scene.finish();
  t.deepEqual(await back.viewer.rest(scene.stream), scene.packetsOf().slice(1));
});

test('who comes back before the relay knows that its connection is gone gets its places; the old connection ends', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(2);
  const { viewer } = await attach(t, scene, 7n);
  await viewer.next(scene.stream);
  const back = await attach(t, scene, 7n);
  t.is(back.isKept, 1);
  await viewer.peer.rest();
  t.is(scene.relay.status().viewers.length, 1);
  await scene.finish();
  t.deepEqual(await back.viewer.rest(scene.stream), scene.packetsOf());
});

test('places go when the time is over that the viewer said, and what it holds with them', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { strangerSeconds: 0.4 } } });
  await scene.send(1);
  const { viewer } = await attach(t, scene, 7n, 1);
  await viewer.next(scene.stream);
  await scene.finish();
  await vanish(scene, viewer);
  t.deepEqual(detached(scene), []);
  t.not(scene.relay.descriptors().length, 0);
  await scene.relay.empty();
  t.deepEqual(detached(scene), [viewer.peer.name]);
});

test('there are not more places kept than there may be viewers, and they yield to viewers that are here', async (t) => {
  const limits = { viewers: 2, viewedStreams: 4 };
  const scene = await LiveScene.open(t, { relay: { limits } });
  const names: string[] = [];
  for (const key of [1n, 2n, 3n]) {
    const { viewer } = await attach(t, scene, key);
    names.push(viewer.peer.name);
    await vanish(scene, viewer);
  }
  t.deepEqual(detached(scene), names.slice(0, 1));
  t.is((await attach(t, scene, 4n)).status, 1);
  t.deepEqual(detached(scene), names.slice(0, 2));
  const back = await attach(t, scene, 3n);
  t.is(back.isKept, 1);
});

test('a viewer that detaches, or wants nothing to be kept, leaves no place', async (t) => {
  const scene = await LiveScene.open(t);
  const one = await attach(t, scene, 1n);
  await one.viewer.detach(scene.session);
  await vanish(scene, one.viewer);
  const two = await attach(t, scene, 2n, 0);
  await vanish(scene, two.viewer);
  t.deepEqual(detached(scene), [one.viewer.peer.name, two.viewer.peer.name]);
  t.is((await attach(t, scene, 1n)).isKept, 0);
});
