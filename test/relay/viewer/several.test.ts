// Many viewers on one session, each at its own pace; and when answers without news are given.
import test from 'ava';
import { IdlePace, newTopic } from '../../../lib/relay/viewer/idle-pace.ts';
import { u64 } from '../../helpers/bytes.ts';
import { LiveScene } from '../../helpers/live.ts';
import { until } from '../../helpers/relay.ts';
import * as r from '../../helpers/requests.ts';
import { ScriptedViewer, seekLast, viewerRequest } from '../../helpers/viewer.ts';

test('twenty viewers that come, go and dawdle: each gets everything from where it began', async (t) => {
  const scene = await LiveScene.open(t);
  const begun: { viewer: ScriptedViewer; from: number }[] = [];
  for (let n = 0; n < 20; n += 1) {
    const seek = n % 2 === 0 ? 1 : seekLast;
    begun.push({
      viewer: (await scene.viewer(seek)).viewer,
      from: seek === 1 ? 0 : scene.packetsOf().length,
    });
    if (n % 5 === 4) await begun[n - 2]?.viewer.peer.destroy();
    const { viewer } = begun[n] as { viewer: ScriptedViewer };
    if (n > 0 && n % 6 === 0) {
      await viewer.next(scene.stream);
      (begun[n] as { from: number }).from = 1;
    }
    await scene.send(2);
  }
  await scene.finish();
  const left = begun.filter((_, n) => n % 5 !== 2);
  await Promise.all(
    left.map(async ({ viewer, from }, n) => {
      t.deepEqual(await viewer.rest(scene.stream), scene.packetsOf().slice(from), `viewer ${n}`);
    }),
  );
});

test('status and list tell of viewers', async (t) => {
  const scene = await LiveScene.open(t);
  await scene.send(1);
  const { viewer } = await scene.viewer();
  await scene.viewer(seekLast);
  await viewer.next(scene.stream);
  t.is((await viewer.list())[0]?.clients, 2);
  const { viewers, connections } = scene.relay.status();
  t.is(connections.live, 2);
  t.like(viewers[0], {
    peer: viewer.peer.name,
    minor: 4,
    isMillrace: false,
    packets: 1,
    bytes: 500,
    waitingBytes: 0,
  });
  t.deepEqual(viewers[0]?.sessions, [{ id: 1, hostname: 'vm', name: 's1', streams: 2, lostPackets: 0 }]);
  await viewer.detach(scene.session);
  t.is((await viewer.list())[0]?.clients, 1);
});

test('a packet that comes while its viewer is put off is told of at once', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { idleAnswerMs: 60_000 } } });
  const { viewer } = await scene.viewer();
  t.is((await viewer.index(scene.stream)).status, 'retry');
  const next = viewer.index(scene.stream);
  await scene.send(1);
  t.is((await next).status, 'ok');
  t.is((await viewer.index(scene.stream)).status, 'retry');
  const quiet = viewer.index(scene.stream);
  await scene.producer.ok(r.beacon(15, scene.stream, 0n, 2n ** 60n));
  t.is((await quiet).status, 'inactive');
  t.is((await viewer.newStreams(scene.session)).streams.length, 0);
  const more = viewer.newStreams(scene.session);
  await scene.producer.addStream('late_0');
  await scene.producer.ok(r.streamsSent());
  t.is((await more).streams.length, 1);
});

test('detaching, and the end of the connection, do not wait for what is put off', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { idleAnswerMs: 60_000 } } });
  const { viewer } = await scene.viewer();
  await viewer.index(scene.stream);
  viewer.peer.write(viewerRequest(4, u64(scene.stream)));
  await viewer.peer.destroy();
  await until(
    () => scene.relay.status().connections.live === 0,
    () => 'a viewer that has gone',
  );
  t.pass();
});

test('a millrace viewer: whole records, what it missed, and a place to go on at', async (t) => {
  const scene = await LiveScene.open(t, { ring: { sizeBytes: 1100n, count: 3n } });
  await scene.send(2);
  const id = 0x6d696c6c72616365n;
  const viewer = await ScriptedViewer.open(t, scene.live, { minor: 15, id });
  const other = await ScriptedViewer.open(t, scene.live, { minor: 15, id });
  t.is(viewer.connected.readUInt32BE(16), 0x6d696c6c);
  t.is(viewer.connected.readBigUInt64BE(0), other.connected.readBigUInt64BE(0), 'the same process');
  await viewer.attach(scene.session);
  const record = async () => {
    const reply = await viewer.peer.ask(viewerRequest(0x6d690001, u64(scene.stream)), 96);
    const [instance, sequence, position, lost] = [64, 72, 80, 88].map((at) => reply.readBigUInt64BE(at));
    return { status: reply.readUInt32BE(56), instance, sequence, position, lost };
  };
  t.deepEqual(await record(), { status: 1, instance: 7n, sequence: 0n, position: 0n, lost: 0n });
  await scene.send(12);
  t.deepEqual(await record(), { status: 1, instance: 7n, sequence: 1n, position: 1n, lost: 0n });
  const after = await record();
  t.is(after.position, 2n + (after.lost ?? 0n));
  t.is(after.sequence, after.position);
  await other.attach(scene.session);
  const seek = Buffer.concat([u64(scene.stream), u64((after.position ?? 0n) + 1n)]);
  t.is((await other.peer.ask(viewerRequest(0x6d690002, seek), 12)).readUInt32BE(0), 1);
  const next = Number(after.position) + 1;
  t.deepEqual(await other.next(scene.stream), scene.packetsOf()[next]);
});

test('the first answer without news is given at once, the same again later, or when there is some', (t) => {
  let now = 1000;
  const pace = new IdlePace(100, 10, () => now);
  const [one, two] = [newTopic(), newTopic()];
  t.is(pace.delayMs(one), 0);
  pace.answered(one, true);
  t.is(pace.delayMs(one), 100);
  t.is(pace.delayMs(two), 0, 'another topic has its own time');
  now += 40;
  t.is(pace.delayMs(one), 60);
  pace.news(two);
  t.is(pace.delayMs(one), 0, 'news elsewhere counts, at a tenth of the time');
  pace.answered(one, true);
  pace.news(one);
  t.is(pace.delayMs(one), 0);
  pace.answered(one, true);
  pace.answered(one, false);
  t.is(pace.delayMs(one), 0, 'after news the next idle answer is a first one');
  pace.linger(one);
  t.is(pace.delayMs(one), 10, 'which may wait a little when there is nothing else');
  now += 4;
  pace.linger(one);
  t.is(pace.delayMs(one), 6, 'and no longer, however often it is asked');
  pace.news(two);
  t.is(pace.delayMs(one), 0);
  pace.answered(one, true);
  pace.linger(one);
  t.is(pace.delayMs(one), 100, 'the same again has its own time');
  pace.linger(two);
  t.is(pace.delayMs(two), 0, 'there is news');
});

test('who has read everything is told of the next packet at its first question; with more to read elsewhere it is not kept waiting', async (t) => {
  const limits = { idleAnswerMs: 60_000, idleLingerMs: 60_000 };
  const scene = await LiveScene.open(t, { channels: ['c_0', 'c_1'], relay: { limits } });
  const [one, two] = scene.channels as [bigint, bigint];
  await scene.send(1, two);
  const { viewer } = await scene.viewer();
  t.is((await viewer.index(one)).status, 'retry', 'the other stream has a packet');
  await viewer.next(two);
  await viewer.metadata(scene.metadata);
  const next = viewer.index(two);
  await scene.send(1, one);
  t.is((await next).status, 'retry', 'as soon as there is one elsewhere');
  t.deepEqual(await viewer.next(one), scene.packetsOf(one)[0]);
  const later = viewer.index(one);
  await scene.send(1, one);
  t.is((await later).status, 'ok');
});
