// Connections that are lost, and made again.
import type { ExecutionContext } from 'ava';
import { liveSource } from '../../../lib/relay/live-client/index.ts';
import { SlabPool } from '../../../lib/stage/slab.ts';
import { LiveScene, metadataText } from '../../helpers/live.ts';
import { LiveProxy } from '../../helpers/live-proxy.ts';
import { only } from '../../helpers/read-frames.ts';
import { until } from '../../helpers/relay.ts';
import { beacon, closeStream, noPacket, streamsSent, usualSession } from '../../helpers/requests.ts';
import { test } from '../../helpers/serial.ts';
import { Watch } from '../../helpers/watch.ts';

const { hostname, sessionName } = usualSession;

/** A live source behind a proxy that makes its connection go. */
class Away {
  readonly watch: Watch;
  readonly proxy: LiveProxy;
  readonly #relay: LiveScene['relay'];

  private constructor(watch: Watch, proxy: LiveProxy, { relay }: LiveScene) {
    this.watch = watch;
    this.proxy = proxy;
    this.#relay = relay;
  }

  static async open(
    t: ExecutionContext,
    scene: LiveScene,
    {
      disguise = false,
      cutAfterBytes,
      options = {},
    }: {
      disguise?: boolean;
      cutAfterBytes?: number;
      options?: { seek?: 'last'; sessionName?: string };
    } = {},
  ): Promise<Away> {
    const proxy = await LiveProxy.open(t, scene.live as never, { disguise });
    proxy.cutAfterBytes = cutAfterBytes;
    return new Away(new Watch(t, { address: proxy.address, ...options }), proxy, scene);
  }

  /** The relay has attached it. */
  attached(): Promise<void> {
    return until(
      () => this.#relay.told.some(({ event }) => event === 'relay:viewer-attached'),
      () => 'not attached',
    );
  }

  /** The connection goes, and none comes about any more. */
  leave(): Promise<void> {
    this.proxy.isShut = true;
    this.proxy.cut();
    return this.gone();
  }

  /** The relay knows that the connection is gone. */
  gone(): Promise<void> {
    return until(
      () => this.#relay.status().viewers.length === 0,
      () => 'the viewer is still there',
    );
  }

  comeBack(): void {
    this.proxy.isShut = false;
  }

  /** How often it was said that something may be missing. */
  gaps(): number {
    return this.#relay.told.filter(({ event }) => event === 'live:gap').length;
  }
}

for (const disguise of [false, true]) {
  const relay = disguise ? 'a plain relay' : 'a millrace relay';
  test(`a lost connection to ${relay} is made again, and nothing is missing or doubled`, async (t) => {
    const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'] });
    const [first, second] = scene.channels as [bigint, bigint];
    const proxy = await LiveProxy.open(t, scene.live as never, { disguise });
    const watch = new Watch(t, { address: proxy.address });
    await scene.send(2, first);
    await watch.has('index', 2);
    proxy.cut();
    await scene.send(3, first);
    await scene.send(2, second);
    scene.producer.metadata(scene.metadata, 'more of it');
    await watch.has('index', 7);
    proxy.cut();
    await scene.send(1, second);
    await watch.has('index', 8);
    await scene.finish();
    t.deepEqual(await watch.outcome, { kind: 'end' });
    t.deepEqual(watch.packets, { c_0: scene.packetsOf(first), c_1: scene.packetsOf(second) });
    t.is(watch.count('lost'), 0);
    const metadata = Buffer.concat(only(watch.frames, 'metadata').map(({ bytes }) => bytes as Buffer));
    t.is(metadata.toString(), `${metadataText}more of it`);
    t.is(proxy.connections, 3);
  });

  test(`a connection to ${relay} may break at any byte of a packet`, async (t) => {
    const scene = await LiveScene.open(t);
    await scene.send(3, scene.stream, 700);
    const proxy = await LiveProxy.open(t, scene.live as never, { disguise });
    const pool = new SlabPool({ slabBytes: 256, slabs: 3 });
    const opening = 4371 * 2;
    proxy.cutAfterBytes = opening + 1000;
    const watch = new Watch(t, { address: proxy.address, pool });
    for (const more of [1400, 1900, 2400]) {
      await until(
        () => proxy.connections > 0 && proxy.cutAfterBytes === undefined,
        () => 'not connected',
      );
      proxy.cutAfterBytes = opening + more;
    }
    proxy.cutAfterBytes = undefined;
    await watch.has('index', 3);
    await scene.finish();
    t.deepEqual(await watch.outcome, { kind: 'end' });
    t.deepEqual(watch.packets, { c_0: scene.packetsOf() });
    t.is(watch.count('lost'), 0);
    t.is(pool.inUse, 0);
  });
}

test('packets that a ring overwrote before they were read are lost, each with its number', async (t) => {
  const scene = await LiveScene.open(t, { ring: { sizeBytes: 1100n, count: 2n } });
  const proxy = await LiveProxy.open(t, scene.live as never);
  const watch = new Watch(t, { address: proxy.address });
  await scene.send(1);
  await watch.has('index', 1);
  proxy.cut();
  await scene.send(12);
  await watch.has('index', 2);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.true(watch.count('lost') > 0);
  t.is(watch.count('lost') + watch.count('index'), 13);
});

test('what a ring overwrote while the connection was lost is told, also of a stream that had nothing yet, and is in the status', async (t) => {
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'], ring: { sizeBytes: 1100n, count: 2n } });
  const [first, second] = scene.channels as [bigint, bigint];
  const proxy = await LiveProxy.open(t, scene.live as never);
  const watch = new Watch(t, { address: proxy.address });
  await scene.send(3, first);
  await watch.has('index', 3);
  await scene.producer.ok(beacon(15, second, 0n, 2n ** 60n));
  await watch.has('inactive', 1);
  proxy.isShut = true;
  proxy.cut();
  await scene.send(20, first);
  await scene.send(10, second);
  proxy.isShut = false;
  const all = () => watch.count('lost') + watch.count('index') === 33;
  await until(all, () => `${watch.count('lost')} lost, ${watch.count('index')} read`);
  const names = new Map(only(watch.frames, 'streamOpen').map((open) => [open.stream, open.channelName]));
  const lost = only(watch.frames, 'lost').map(({ stream, netSeqNum }) => [names.get(stream), netSeqNum]);
  for (const [name, stream] of [
    ['c_0', first],
    ['c_1', second],
  ] as const) {
    const missing = new Set(lost.filter(([own]) => own === name).map(([, number]) => Number(number)));
    t.true(missing.size > 0);
    t.deepEqual(
      watch.packets[name],
      scene.packetsOf(stream).filter((_, n) => !missing.has(n)),
    );
  }
  t.is(scene.relay.status().viewers[0]?.sessions[0]?.lostPackets, lost.length);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
});

for (const viewerKeptSeconds of [600, 0]) {
  const isKept = viewerKeptSeconds > 0;
  const what = isKept ? 'is read to its end' : 'by a relay that keeps no places: what was left of it is told';
  test(`a stream that ended while the connection was lost ${what}`, async (t) => {
    const scene = await LiveScene.open(t, {
      channels: ['c_0', 'c_1'],
      relay: { limits: { viewerKeptSeconds } },
    });
    const [first, second] = scene.channels as [bigint, bigint];
    const away = await Away.open(t, scene);
    const { watch } = away;
    await scene.send(2, first);
    await watch.has('index', 2);
    await away.leave();
    await scene.send(3, first);
    await scene.producer.ok(closeStream(first, 4n));
    await until(
      () => scene.relay.status().sessions[0]?.streams.length === 2,
      () => 'the stream is not closed',
    );
    away.comeBack();
    await watch.has('streamEnd', 1);
    await scene.send(1, second);
    await watch.has('index', isKept ? 6 : 3);
    t.deepEqual(
      only(watch.frames, 'lost').map(({ netSeqNum }) => netSeqNum),
      isKept ? [] : [2n, 3n, 4n],
    );
    const read = scene.packetsOf(first).slice(0, isKept ? 5 : 2);
    t.deepEqual(watch.packets, { c_0: read, c_1: scene.packetsOf(second) });
    t.is(scene.relay.status().viewers[0]?.sessions[0]?.lostPackets, isKept ? 0 : 3);
    t.is(away.gaps(), isKept ? 0 : 1);
    scene.sent.delete(first);
    await scene.finish();
    t.deepEqual(await watch.outcome, { kind: 'end' });
    t.is(only(watch.frames, 'sessionEnd')[0]?.outcome, 'end');
  });
}

test('programs that came and went while the connection was lost are read to their end, as long as a place is kept', async (t) => {
  const scene = await LiveScene.open(t);
  const away = await Away.open(t, scene);
  const { watch } = away;
  await scene.send(1);
  await watch.has('index', 1);
  await away.leave();
  const program = async (name: string): Promise<void> => {
    const { producer } = scene;
    const path = `ust/pid/${name}-1-20231114-221320`;
    const data = await producer.addStream(name, path);
    const text = await producer.addStream('metadata', path);
    await producer.ok(streamsSent());
    producer.metadata(text, `text of ${name}`);
    await producer.packet(data, 0n, Buffer.from(`packet of ${name}`));
    await producer.ok(closeStream(data, 0n));
    await producer.ok(closeStream(text, noPacket));
  };
  await program('one');
  await program('two');
  away.comeBack();
  await watch.has('index', 3);
  await scene.finish();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, {
    c_0: scene.packetsOf(),
    one: [Buffer.from('packet of one')],
    two: [Buffer.from('packet of two')],
  });
  t.is(away.gaps(), 0);
});

test('a session that ended while the connection was lost is read to its end at a millrace relay', async (t) => {
  const scene = await LiveScene.open(t);
  const away = await Away.open(t, scene);
  const { watch } = away;
  await scene.send(1);
  await watch.has('index', 1);
  await away.leave();
  await scene.send(2);
  await scene.finish();
  await until(
    () => scene.relay.status().sessions.length === 0,
    () => 'the session is still there',
  );
  away.comeBack();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.deepEqual(watch.packets, { c_0: scene.packetsOf() });
  t.is(only(watch.frames, 'sessionEnd')[0]?.outcome, 'end');
  await scene.relay.empty();
});

test('a session that ended while the connection to a plain relay was lost is cut short', async (t) => {
  const scene = await LiveScene.open(t);
  const away = await Away.open(t, scene, { disguise: true });
  const { watch } = away;
  await scene.send(1);
  await watch.has('index', 1);
  await away.leave();
  await scene.finish();
  away.comeBack();
  t.deepEqual(await watch.outcome, { kind: 'end' });
  t.is(only(watch.frames, 'sessionEnd')[0]?.outcome, 'abort');
});

/** Bytes of the first replies to a viewer of one stream and its metadata: connect, create, list; then the attachment. */
const listedBytes = 20 + 4 + (4 + 32 + hostname.length + sessionName.length);
const shownBytes = 2 * 4371;
/** GET_NEW_STREAMS, the metadata, and that there is no more. */
const metadataBytes = 8 + (12 + metadataText.length) + 12;

for (const [when, cutAfterBytes] of [
  ['in the reply to its attachment', listedBytes + 1],
  ['behind the reply to its attachment', listedBytes + 12 + shownBytes],
  ['in the metadata', listedBytes + 12 + shownBytes + 8 + 12 + 5],
  ['in the first index', listedBytes + 12 + shownBytes + metadataBytes + 1],
] as const)
  test(`from now on: a viewer that loses its connection ${when} misses nothing since then`, async (t) => {
    // the first index is asked for before there is one, and answered when there is
    const limits = { idleAnswerMs: 2000, idleLingerMs: 2000 };
    const scene = await LiveScene.open(t, { relay: { limits } });
    await scene.send(3);
    const away = await Away.open(t, scene, { cutAfterBytes, options: { seek: 'last' } });
    await away.attached();
    away.proxy.isShut = true;
    await scene.send(2);
    await away.gone();
    await scene.send(1);
    away.comeBack();
    await away.watch.has('index', 3);
    await scene.finish();
    t.deepEqual(await away.watch.outcome, { kind: 'end' });
    t.deepEqual(away.watch.packets, { c_0: scene.packetsOf().slice(3) });
    t.is(away.gaps(), 0);
  });

for (const [when, cutAfterBytes] of [
  ['in the reply to its attachment', listedBytes + 1],
  ['behind the reply to its attachment', listedBytes + 8 + shownBytes],
] as const)
  test(`from now on, at a plain relay: a viewer that loses its connection ${when} begins anew from now, and says so`, async (t) => {
    const scene = await LiveScene.open(t);
    await scene.send(3);
    const away = await Away.open(t, scene, { cutAfterBytes, disguise: true, options: { seek: 'last' } });
    await away.attached();
    away.proxy.isShut = true;
    await away.gone();
    await scene.send(2);
    away.comeBack();
    await until(
      () => away.gaps() === 1,
      () => 'it was not said',
    );
    await scene.producer.ok(beacon(15, scene.stream, 4n, 2n ** 60n));
    await away.watch.has('inactive', 1);
    await scene.send(2);
    await scene.finish();
    t.deepEqual(await away.watch.outcome, { kind: 'end' });
    t.deepEqual(away.watch.packets, { c_0: scene.packetsOf().slice(5) });
    t.is(away.gaps(), 1);
  });

test('a session is waited for over a connection that is lost', async (t) => {
  const scene = await LiveScene.open(t);
  const away = await Away.open(t, scene, { options: { sessionName: 'later' } });
  await until(
    () => scene.relay.status().viewers.length === 1,
    () => 'not connected',
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  away.proxy.cut();
  const later = await LiveScene.on(t, scene.relay, { producer: { sessionName: 'later' } });
  await later.send(2);
  await away.watch.has('index', 2);
  await later.finish();
  t.deepEqual(await away.watch.outcome, { kind: 'end' });
});

test('a relay that does not come back is given up after the time that was set', async (t) => {
  const scene = await LiveScene.open(t);
  const proxy = await LiveProxy.open(t, scene.live as never);
  const watch = new Watch(t, { address: proxy.address, reconnectMs: 0 });
  await scene.send(1);
  await watch.has('index', 1);
  proxy.cut();
  const outcome = await watch.outcome;
  t.is(outcome.kind === 'error' && outcome.error.code, 'MR_ERR_NETWORK_LOST');
  await scene.finish();
});

test('a view that is ended on purpose leaves no place behind', async (t) => {
  const scene = await LiveScene.open(t);
  const source = liveSource({ address: scene.live as never, hostname, sessionName });
  // it knows that it is attached when something has come
  let hasCome = false;
  source.on('data', () => {
    hasCome = true;
  });
  await scene.send(1);
  const heard = (event: string) => scene.relay.told.some((told) => told.event === event);
  await until(
    () => heard('relay:viewer-attached') && hasCome,
    () => 'not attached',
  );
  source.destroy();
  await until(
    () => heard('relay:viewer-detached'),
    () => 'not detached',
  );
  t.false(heard('relay:viewer-away'));
});
