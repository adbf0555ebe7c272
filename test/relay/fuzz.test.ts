/**
 * Valid conversations with random damage, beside a good session. Whatever comes, the relay names what was wrong in its
 * own words, writes nowhere but below its output directory, gives everything back, and the good session loses nothing.
 */
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { ExecutionContext } from 'ava';
import { join, pattern } from '../helpers/bytes.ts';
import { GoodSession } from '../helpers/good-session.ts';
import { mutate } from '../helpers/mutate.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const conversations = 150;

/** How a session of `minor` begins. */
function opening(minor: number): Buffer {
  const path = minor < 11 ? `/vm/fuzz-${r.creationDate}/${ustPath}` : ustPath;
  return join(
    r.version(minor),
    r.getConfiguration(),
    r.createSession(minor, { sessionName: 'fuzz', idSessiond: 99n }),
    minor < 11 ? Buffer.alloc(0) : r.createTraceChunk(0n),
    r.addStream(minor, { channelName: 'c_0', path }),
    r.addStream(minor, { channelName: 'metadata', path }),
    r.streamsSent(),
  );
}

/** What the control connection of a recording says once its streams are there. */
function talk(session: bigint, stream: bigint, metadata: bigint): Buffer {
  const index = (n: bigint) => r.sendIndex(15, stream, n, r.indexFacts(n, 100));
  return join(
    r.sendMetadata(metadata, pattern(300), 20),
    index(0n),
    index(1n),
    r.beacon(15, stream, 1n, 77n),
    r.beginDataPending(session),
    r.dataPending(stream, 1n),
    r.quiescentControl(metadata),
    r.endDataPending(session),
    r.createTraceChunk(1n),
    r.rotateStreams([[stream, 2n]], 1n),
    r.rotateStreams([[metadata, 0n]], 1n),
    r.sendMetadata(metadata, pattern(50)),
    index(2n),
    r.closeTraceChunk(0n, 0),
    r.traceChunkExists(0n),
    r.resetMetadata(metadata),
    r.rotateStreams([[stream, 3n]]),
    r.closeTraceChunk(1n),
    r.closeStream(metadata, r.noPacket),
    r.closeStream(stream, 2n),
  );
}

/** Frames as a relay finds them, their padding at most 64 KiB: damaged, gigabytes of zeros would have to be looked at. */
function withoutGigabytes(frames: Buffer): Buffer {
  for (let at = 0; at + 32 <= frames.length; at += 32 + frames.readUInt32BE(at + 24))
    frames.writeUInt32BE(frames.readUInt32BE(at + 28) & 0xffff, at + 28);
  return frames;
}

async function over(...peers: Peer[]): Promise<void> {
  for (const peer of peers) peer.socket.end();
  await Promise.all(peers.map((peer) => peer.closed));
}

async function damaged(
  t: ExecutionContext,
  name: string,
  attack: (relay: TestRelay, seed: number) => Promise<void>,
) {
  const parent = realpathSync(mkdtempSync(joinPath(tmpdir(), 'millrace-fuzz-')));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  const outputPath = joinPath(parent, 'out');
  mkdirSync(outputPath);
  const relay = await TestRelay.start(t, {
    outputPath,
    limits: { inFlightSeconds: 0.05, strangerSeconds: 5 },
  });
  const good = await GoodSession.open(t, relay, { hostname: 'good' });
  for (let seed = 1; seed <= conversations; seed += 1) await good.during(attack(relay, seed));
  await good.finish();
  await relay.empty();
  good.verify(relay);
  const bugs = relay.told.filter(({ code }) => code === 'MR_ERR_STAGE_FAILED');
  t.deepEqual(bugs, [], name);
  t.deepEqual(readdirSync(parent), ['out']);
  t.true(relay.complaints().length > 0);
}

test('damaged openings of every version', async (t) => {
  await damaged(t, 'openings', async (relay, seed) => {
    const control = await Peer.connect(relay.control);
    control.write(mutate(opening([1, 4, 10, 11, 15][seed % 5] as number), seed));
    await over(control);
  });
});

test('damaged talk on the control connection of a session', async (t) => {
  await damaged(t, 'talk', async (relay, seed) => {
    const { control, data, sessionId, ...producer } = await session(t, relay, seed);
    const { stream, metadata } = producer;
    for (let n = 0n; n < 3n; n += 1n) data.write(r.dataFrame(stream, n, pattern(100, Number(n))));
    control.write(mutate(talk(sessionId, stream, metadata), seed));
    await over(control, data);
  });
});

test('damaged frames on the data connection of a session', async (t) => {
  await damaged(t, 'frames', async (relay, seed) => {
    const { control, data, stream } = await session(t, relay, seed);
    const frames = [0n, 1n, 2n].map((n) => r.dataFrame(stream, n, pattern(100, Number(n))));
    data.write(withoutGigabytes(mutate(join(...frames), seed)));
    for (let n = 0n; n < 3n; n += 1n) control.write(r.sendIndex(15, stream, n, r.indexFacts(n, 100)));
    await over(data, control);
  });
});

/** A session of its own, in one of three directories: some of them write over the files of others. */
async function session(t: ExecutionContext, relay: TestRelay, seed: number) {
  const idSessiond = BigInt(100 + seed);
  const producer = await Producer.open(t, relay, { sessionName: `fuzz-${seed % 3}`, idSessiond });
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  const { control, data, sessionId } = producer;
  return { control, data, sessionId, stream, metadata };
}
