/** Packets for which there is never room: the reserve is larger than any disk. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { pattern } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';

const packetBytes = 1_048_576;
const keepFreeBytes = 2 ** 60;

test('packets that wait leave slabs for requests, however many connections they come on', async (t) => {
  const relay = await TestRelay.start(t, { keepFreeBytes, limits: { slabs: 8 } });
  for (let at = 0n; at < 3n; at += 1n) {
    const producer = await Producer.open(t, relay, { idSessiond: at, sessionName: `s${at}` });
    const stream = await producer.addStream('c_0');
    for (let n = 0n; n < 4n; n += 1n) producer.frame(stream, n, pattern(packetBytes));
  }
  const used = () => relay.status();
  await until(
    () => used().waitingForSpace === 3 && used().slabsInUse === 6,
    () => `${used().waitingForSpace} wait, ${used().slabsInUse} slabs are in use`,
  );
  const late = await Producer.open(t, relay, { idSessiond: 9n, sessionName: 'late' });
  const metadata = await late.addStream('metadata');
  for (const part of [pattern(300_000, 1), pattern(300_000, 2)]) late.metadata(metadata, part);
  await late.stored(metadata, r.noPacket);
  t.deepEqual(
    relay.tree()[`${late.outputPath}/${ustPath}/metadata`],
    Buffer.concat([pattern(300_000, 1), pattern(300_000, 2)]),
  );
});

test('a session whose control connection is gone is not given up while its packets wait', async (t) => {
  const relay = await TestRelay.start(t, { keepFreeBytes, limits: { inFlightSeconds: 0.02 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(4096));
  await until(
    () => relay.status().waitingForSpace === 1,
    () => 'nobody waits',
  );
  await producer.control.end();
  await delay(500);
  t.like(relay.status(), { sessions: [{ connected: false, streams: [{ closed: false }] }], lost: {} });
  await producer.data.destroy();
});

test('who goes while packets wait takes them along, and everything is let go of', async (t) => {
  const relay = await TestRelay.start(t, { keepFreeBytes });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  for (let n = 0n; n < 3n; n += 1n) producer.frame(stream, n, pattern(packetBytes));
  await until(
    () => relay.status().waitingForSpace === 1,
    () => 'nobody waits',
  );
  producer.data.socket.resetAndDestroy();
  await relay.relay.close();
  t.like(relay.status(), { waitingForSpace: 0, slabsInUse: 0 });
});
