/**
 * Every misbehaving viewer beside a producer and a viewer that do everything right: it loses at most its own
 * connection, everything that it took comes back, the relay stores everything and the good viewer reads it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { ErrorCode } from '../../../lib/index.ts';
import { attachesAndVanishes } from '../../fakes/viewers/attaches-and-vanishes.ts';
import type { FakeViewer } from '../../fakes/viewers/fake-viewer.ts';
import { halfARequest } from '../../fakes/viewers/half-a-request.ts';
import { indexFlood } from '../../fakes/viewers/index-flood.ts';
import { leavesMidPacket } from '../../fakes/viewers/leaves-mid-packet.ts';
import { liesAboutLengths } from '../../fakes/viewers/lies-about-lengths.ts';
import { packetsNeverRead } from '../../fakes/viewers/packets-never-read.ts';
import { randomBytesLive } from '../../fakes/viewers/random-bytes-live.ts';
import { silentViewers } from '../../fakes/viewers/silent-viewers.ts';
import { LiveScene } from '../../helpers/live.ts';
import { until } from '../../helpers/relay.ts';
import { test } from '../../helpers/serial.ts';
import { ScriptedViewer, seekLast } from '../../helpers/viewer.ts';

/** What becomes of the sinner: `goes on`, or the code that its connection ends with. */
const sinners: ReadonlyArray<readonly [FakeViewer, 'goes on' | ErrorCode]> = [
  [halfARequest, 'goes on'],
  [indexFlood, 'goes on'],
  [liesAboutLengths, 'goes on'],
  [leavesMidPacket, 'goes on'],
  [attachesAndVanishes, 'goes on'],
  [randomBytesLive, 'MR_ERR_RELAY_COMMAND'],
  [packetsNeverRead, 'MR_ERR_STAGE_STALLED'],
  [silentViewers, 'MR_ERR_NETWORK_IDLE'],
];

const limits = { strangerSeconds: 0.4, viewerStallSeconds: 0.4, viewers: 200 };

for (const [fake, fate] of sinners)
  test(`${fake.name}: ${fate}, and nobody else notices`, async (t) => {
    const scene = await LiveScene.open(t, { relay: { limits } });
    const { relay, live, session, stream } = scene;
    await scene.send(2, stream, 600_000);
    const { viewer } = await scene.viewer(seekLast);
    const descriptors = readdirSync('/proc/self/fd').length;
    const leave: (() => unknown)[] = [];
    const sinner = await fake({ live, session, stream }, { teardown: (run) => leave.push(run) });
    const goodOn = async () => {
      for (let n = 0; n < 10; n += 1) {
        await scene.send(1, stream, 5000);
        t.true((await viewer.next(stream))?.equals(scene.packetsOf().at(-1) as Buffer));
      }
    };
    await goodOn();
    if (fate !== 'goes on') {
      await until(
        () => relay.complaints().some(({ code }) => code === fate),
        () =>
          relay
            .complaints()
            .map(({ text }) => text)
            .join('; '),
      );
      sinner.socket.resume();
      await sinner.closed;
      await goodOn();
    }
    t.true(relay.status().viewers.every(({ waitingBytes }) => waitingBytes <= 300_000));
    for (const run of leave) await run();
    await sinner.destroy();
    await until(
      () => relay.status().connections.live === 1,
      () => `${relay.status().connections.live} viewers`,
    );
    await goodOn();
    await until(
      () => readdirSync('/proc/self/fd').length <= descriptors + 4,
      () => `${readdirSync('/proc/self/fd').length} descriptors, ${descriptors} before`,
    );
    await scene.finish();
    t.is(await viewer.next(stream), undefined);
    await viewer.peer.end();
    await relay.empty();
  });

test('a viewer whose host vanishes is looked for after a minute of silence: keep-alive is on', async (t) => {
  const scene = await LiveScene.open(t);
  const { viewer } = await scene.viewer();
  const { localPort = 0, remotePort = 0 } = viewer.peer.socket;
  // proc(5): of each socket its addresses, and the timer that runs on it: 02 is keep-alive, in ticks of 1/100 s
  const timers = () =>
    ['/proc/net/tcp', '/proc/net/tcp6']
      .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, remote]) => port(local) === remotePort && port(remote) === localPort)
      .map((fields) => fields[5]);
  const port = (address = '') => Number.parseInt(address.split(':')[1] ?? '', 16);
  await until(
    () => timers().some((timer) => timer?.startsWith('02:') === true),
    () => `timers: ${timers().join(', ')}`,
  );
  const [, ticks = ''] = (timers()[0] as string).split(':');
  const seconds = Number.parseInt(ticks, 16) / 100;
  t.true(seconds > 45 && seconds <= 60, `${seconds} s`);
});

test('viewers above the ceiling are refused, and told of; those below it are served', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { viewers: 3 } } });
  const viewers = [await scene.viewer(), await scene.viewer(), await scene.viewer()];
  await t.throwsAsync(scene.viewer());
  t.is(scene.relay.complaints().filter(({ code }) => code === 'MR_ERR_VIEWER_CEILING').length, 1);
  await scene.send(1);
  for (const { viewer } of viewers) t.deepEqual(await viewer.next(scene.stream), scene.packetsOf()[0]);
});

test('streams of all viewers have a ceiling; who would be above it may not attach', async (t) => {
  const scene = await LiveScene.open(t, { relay: { limits: { viewedStreams: 4 } } });
  await scene.viewer();
  await scene.viewer();
  const third = await ScriptedViewer.open(t, scene.live);
  t.is((await third.attach(scene.session)).status, 3);
  t.is(scene.relay.complaints().filter(({ code }) => code === 'MR_ERR_VIEWER_CEILING').length, 1);
});
