/** Ends of the relay itself, in the middle of a stream. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { pattern } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { tree, until } from '../helpers/relay.ts';
import { RelayProcess } from '../helpers/relay-process.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const directory = `vm/s1-${r.creationDate}/${ustPath}`;
const packet = (n: number): Buffer => pattern(3000, n);

function outputDirectory(t: ExecutionContext): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-signal-')));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Sends packets until the relay is gone; returns how many it has told as stored. */
async function sendUntilGone(
  producer: Producer,
  stream: bigint,
  enough: (sent: number) => void,
): Promise<number> {
  for (let n = 0; ; n += 1) {
    try {
      await producer.packet(stream, BigInt(n), packet(n));
      await producer.stored(stream, BigInt(n));
    } catch {
      return n;
    }
    enough(n + 1);
  }
}

/**
 * What is on the disk is whole packets in order, each with its record; the last one may lack it, if its index was
 * still on its way. Returns how many have one.
 */
function wholePackets(t: ExecutionContext, files: Record<string, Buffer | null>): number {
  const data = files[`${directory}/c_0`] as Buffer;
  const count = data.length / 3000;
  t.is(count % 1, 0, 'no torn packet');
  t.true(data.equals(Buffer.concat([...Array(count).keys()].map(packet))));
  // The index file comes with the first packet.
  const index = files[`${directory}/index/c_0.idx`] ?? r.indexFile(15, []);
  const recorded = (index.length - 16) / 72;
  t.true(recorded === count || recorded === count - 1, `${recorded} records of ${count} packets`);
  const records = [...Array(recorded).keys()].map((n) => [n * 3000, r.indexFacts(BigInt(n), 3000)] as const);
  t.true(index.equals(r.indexFile(15, records)));
  t.deepEqual(files[`${directory}/metadata`], Buffer.from('metadata'));
  return recorded;
}

async function recording(t: ExecutionContext, relay: RelayProcess): Promise<readonly [Producer, bigint]> {
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  producer.metadata(metadata, 'metadata');
  await producer.stored(metadata, r.noPacket);
  return [producer, stream];
}

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`${signal} in the middle of a stream: what it told as stored is there, everything is closed, the exit status is 0`, async (t) => {
    const outputPath = outputDirectory(t);
    const relay = await RelayProcess.start(t, { outputPath });
    const [producer, stream] = await recording(t, relay);
    const sent = await sendUntilGone(producer, stream, (n) => {
      if (n === 50) relay.kill(signal);
    });
    t.deepEqual(await relay.ended, { code: 0, signal: null });
    const files = tree(outputPath);
    t.true(wholePackets(t, files) >= sent);
    t.is(relay.lines.at(-1)?.event, 'relay:closed');
  });

test('SIGKILL in the middle of a stream: the next start cuts the torn tail and says so, and what was committed is there', async (t) => {
  const outputPath = outputDirectory(t);
  const relay = await RelayProcess.start(t, { outputPath });
  const [producer, stream] = await recording(t, relay);
  await producer.packet(stream, 0n, packet(0));
  await producer.packet(stream, 1n, packet(1));
  await producer.stored(stream, 1n);
  producer.data.write(r.dataFrame(stream, 2n, packet(2)).subarray(0, 2032));
  const size = () => tree(outputPath)[`${directory}/c_0`]?.length;
  await until(
    () => size() === 8000,
    () => `${size()} bytes`,
  );
  relay.kill('SIGKILL');
  t.deepEqual(await relay.ended, { code: null, signal: 'SIGKILL' });
  await producer.vanish();

  const next = await RelayProcess.start(t, { outputPath });
  t.is(wholePackets(t, tree(outputPath)), 2);
  t.deepEqual(
    next.lines.filter(({ event }) => event === 'disk:recovery').map(({ text }) => text),
    ['a relay died here; its journal is whole', `${directory}/c_0 cut to 6000 bytes`],
  );
  const [again] = await recording(t, next);
  await again.vanish();
  next.kill('SIGTERM');
  t.is((await next.ended).code, 0);
});

test('a relay that is killed again and again leaves every packet that it told as stored, and only whole ones', async (t) => {
  const outputPath = outputDirectory(t);
  for (const kill of [1, 7, 40]) {
    const relay = await RelayProcess.start(t, { outputPath });
    const [producer, stream] = await recording(t, relay);
    const sent = await sendUntilGone(producer, stream, (n) => {
      if (n === kill) relay.kill('SIGKILL');
    });
    await relay.ended;
    await producer.vanish();
    t.true(sent >= kill);
    const next = await RelayProcess.start(t, { outputPath });
    t.true(wholePackets(t, tree(outputPath)) >= sent);
    next.kill('SIGTERM');
    t.is((await next.ended).code, 0);
  }
});

test('a second relay on the same output directory is refused, and the first goes on', async (t) => {
  const outputPath = outputDirectory(t);
  const relay = await RelayProcess.start(t, { outputPath });
  const second = RelayProcess.launch(t, { outputPath });
  t.deepEqual(await second.ended, { code: 1, signal: null });
  t.regex(second.lines.map(({ text }) => text).join(' '), /is used by another relay/);
  const [producer, stream] = await recording(t, relay);
  await producer.packet(stream, 0n, packet(0));
  await producer.stored(stream, 0n);
});
