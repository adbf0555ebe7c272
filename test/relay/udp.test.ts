/** Packets over UDP, through links that lose, repeat and reorder: what lands, and what is said of the rest. */
import { createSocket } from 'node:dgram';
import type { ExecutionContext } from 'ava';
import { relaySink } from '../../lib/relay/client/relay-sink.ts';
import { type UdpProxyOptions, udpProxy } from '../fakes/udp-proxy.ts';
import { noise, random } from '../helpers/bytes.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import { forwardTo } from '../helpers/forward.ts';
import { FrameScript, packet, text } from '../helpers/frame-script.ts';
import * as f from '../helpers/frames.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const { creationTimeS } = r;
const path = 'ust/uid/0/64-bit';
const host = '127.0.0.1';
const lostOffset = 2n ** 64n - 1n;

/** Two streams of so many packets, of any size up to 9000 bytes. */
function packetsOf(count: number, seed: number): Buffer[][] {
  const next = random(seed);
  return [1, 2].map((stream) =>
    Array.from({ length: count }, (_, n) => noise(1 + (next() % 9000), seed + n * 2 + stream)),
  );
}

function script(packets: Buffer[][], given = {}): FrameScript {
  const frames = new FrameScript({ slabs: 1000 }).batch(
    f.sessionOpen({ minor: 13, hostname: 'vm', creationTimeS, ...given }),
    f.chunkOpen(),
    f.streamOpen({ path, channelName: 'c_0' }),
    f.streamOpen({ stream: 2, path, channelName: 'c_1' }),
    f.streamOpen({ stream: 9, path, channelName: 'metadata' }),
    f.published(),
    text('metadata'),
  );
  const [first = [], second = []] = packets;
  for (const [n, bytes] of first.entries())
    frames.batch(...packet(1, BigInt(n), bytes), ...packet(2, BigInt(n), second[n] as Buffer));
  const last = BigInt(first.length - 1);
  return frames.batch(
    f.streamEnd(undefined, 9),
    f.streamEnd(last, 1),
    f.streamEnd(last, 2),
    { ...f.chunkDone(), action: 'none' as const },
    f.sessionEnd(),
  );
}

/** Sends packets over a bad link; returns which of them are stored, by stream, and what the link did. */
async function send(
  t: ExecutionContext,
  packets: Buffer[][],
  link: Omit<UdpProxyOptions, 'to'>,
  { mtuBytes = 1400, given = {} } = {},
) {
  // where nothing is lost, nothing is given up because this machine is busy
  const udpLateMs = link.loss === undefined ? 10_000 : 200;
  const relay = await TestRelay.start(t, { udp: { host, port: 0 }, limits: { udpLateMs } });
  const proxy = await udpProxy(t, {
    ...link,
    to: relay.relay.addresses.udp as { host: string; port: number },
  });
  const sent = script(packets, given);
  const data = { ...proxy.address, transport: 'udp' } as const;
  const sink = relaySink({ control: relay.control, data, mtuBytes });
  t.deepEqual(await sent.into(sink), { kind: 'end' });
  t.is(sent.pool.inUse, 0, 'slabs');
  const lost = Object.values(relay.status().lost).reduce((sum, { packets: each }) => sum + each, 0);
  await relay.empty();
  const files = Object.fromEntries(
    Object.entries(relay.tree()).map(([name, is]) => [name.split(`${path}/`)[1], is]),
  );
  t.deepEqual(files.metadata, Buffer.from('metadata'));
  return { files, lost, counts: proxy.counts, relay, progress: sink.progress };
}

/** Holds a stream's files against its packets; returns the numbers that are said to be lost. */
function check(t: ExecutionContext, packets: Buffer[], data: Buffer, index: Buffer): number[] {
  const lost: number[] = [];
  t.is(index.length, 16 + 72 * packets.length, 'a record for every packet');
  let stored = 0;
  for (const [n, bytes] of packets.entries()) {
    const record = index.subarray(16 + 72 * n, 16 + 72 * (n + 1));
    t.is(record.readBigUInt64BE(64), BigInt(n), 'in the order of their numbers');
    const offset = record.readBigUInt64BE(0);
    if (offset === lostOffset) {
      lost.push(n);
      continue;
    }
    t.is(offset, BigInt(stored));
    t.true(data.subarray(stored, stored + bytes.length).equals(bytes), `packet ${n}`);
    stored += bytes.length;
  }
  t.is(stored, data.length);
  return lost;
}

test('udp: through a good link everything lands byte for byte', async (t) => {
  const packets = packetsOf(60, 1);
  const { files, lost, relay, progress } = await send(t, packets, { seed: 1 });
  for (const [at, each] of packets.entries())
    t.deepEqual(check(t, each, files[`c_${at}`] as Buffer, files[`index/c_${at}.idx`] as Buffer), []);
  t.is(lost, 0);
  t.like(progress, { packets: 120, acknowledgedPackets: 120, sessionsDone: 1 });
  t.deepEqual(relay.complaints(), []);
});

for (const seed of [2, 3])
  test(`udp: reordered and repeated datagrams are put in order, each once (seed ${seed})`, async (t) => {
    const packets = packetsOf(60, seed);
    const { files, lost, counts } = await send(t, packets, { seed, reordering: 0.2, duplication: 0.2 });
    t.true(counts.repeated > 50 && counts.held > 50);
    for (const [at, each] of packets.entries())
      t.deepEqual(check(t, each, files[`c_${at}`] as Buffer, files[`index/c_${at}.idx`] as Buffer), []);
    t.is(lost, 0);
  });

test('udp: a packet of no bytes, and one of a single datagram to the byte, land', async (t) => {
  const room = 300 - 48 - 48;
  const each = [noise(room, 1), noise(room + 1, 2), noise(2 * room, 3)];
  const { files } = await send(t, [each, each], { seed: 4 }, { mtuBytes: 300 });
  t.deepEqual(check(t, each, files.c_0 as Buffer, files['index/c_0.idx'] as Buffer), []);
});

test('udp: a relay that does not listen for datagrams is named, and so is one that is none of ours', async (t) => {
  const relay = await TestRelay.start(t);
  const data = { host, port: 9, transport: 'udp' } as const;
  const sent = script(packetsOf(1, 5));
  const outcome = await sent.into(relaySink({ control: relay.control, data }));
  t.like(outcome, { kind: 'error', error: { code: 'MR_ERR_CLIENT_UNSUPPORTED' } });
  t.is(sent.pool.inUse, 0);
  const old = script(packetsOf(1, 5), { minor: 8 });
  t.like(await old.into(relaySink({ control: relay.control, data })), { kind: 'error' });
  await relay.empty();
});

for (const { loss, seed } of [
  { loss: 0.01, seed: 11 },
  { loss: 0.1, seed: 12 },
  { loss: 0.1, seed: 13 },
])
  test(`udp: of ${loss * 100} % lost datagrams every packet is stored whole or said to be lost (seed ${seed})`, async (t) => {
    const packets = packetsOf(80, seed);
    const link = { seed, loss, reordering: 0.1, duplication: 0.1 };
    const { files, lost, counts, relay } = await send(t, packets, link);
    t.true(counts.lost > 0);
    const missing = packets.flatMap((each, at) =>
      check(t, each, files[`c_${at}`] as Buffer, files[`index/c_${at}.idx`] as Buffer),
    );
    t.true(missing.length > 0 && missing.length < 80);
    t.is(lost, missing.length, 'every loss is counted, once');
    t.true(
      relay.told.some(({ text: said }) => said.includes('(udp)')),
      'and told with its cause',
    );
  });

test('udp: the first and the last packet of a stream may be lost', async (t) => {
  const packets = packetsOf(1, 21);
  const { files, lost } = await send(t, packets, { seed: 21, loss: 1 });
  for (const [at, each] of packets.entries())
    t.deepEqual(check(t, each, files[`c_${at}`] as Buffer, files[`index/c_${at}.idx`] as Buffer), [0]);
  t.is(lost, 2);
});

test('udp: datagrams of nobody, and nonsense, cost nobody anything', async (t) => {
  const relay = await TestRelay.start(t, { udp: { host, port: 0 }, limits: { udpLateMs: 10_000 } });
  const { port } = relay.relay.addresses.udp as { port: number };
  const enemy = createSocket('udp4');
  t.teardown(() => enemy.close());
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(47), noise(1400, 1), noise(9000, 2)])
    enemy.send(bytes, port, host);
  const packets = packetsOf(5, 31);
  const data = { host, port, transport: 'udp' } as const;
  t.deepEqual(await script(packets).into(relaySink({ control: relay.control, data })), { kind: 'end' });
  await relay.empty();
  t.deepEqual(relay.complaints(), []);
});

test('udp: what comes as datagrams is forwarded as any other packet, and so are its losses', async (t) => {
  const next = await TestRelay.start(t);
  const forward = forwardTo(temporaryDirectory(t), [next]);
  const relay = await TestRelay.start(t, { udp: { host, port: 0 }, limits: { udpLateMs: 200 }, forward });
  const to = relay.relay.addresses.udp as { host: string; port: number };
  const proxy = await udpProxy(t, { to, seed: 5, loss: 0.01 });
  const sink = relaySink({ control: relay.control, data: { ...proxy.address, transport: 'udp' } });
  t.deepEqual(await script(packetsOf(60, 5)).into(sink), { kind: 'end' });
  await relay.empty();
  await until(
    () => relay.status().forward?.ways.length === 0,
    () => JSON.stringify(relay.status().forward),
  );
  await next.empty();
  t.true(Object.keys(relay.status().lost).length > 0, 'something was lost');
  t.deepEqual(next.tree(), relay.tree());
});
