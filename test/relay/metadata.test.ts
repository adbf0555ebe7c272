/** Metadata: whole, in pieces, again, and much of it. Source: relay-protocol, "Metadata". */
import { statSync } from 'node:fs';
import { join as path } from 'node:path';
import { join, none, pattern, pieces } from '../helpers/bytes.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const file = `vm/s1-${r.creationDate}/${ustPath}/metadata`;

/** The head of a metadata packet of a little-endian tracer up to 2.13. Source: relay-protocol, "Metadata". */
function metadataPacket(text: Buffer): Buffer {
  const head = Buffer.alloc(37);
  head.writeUInt32LE(0x75d1_1d57, 0);
  head.writeUInt32LE((37 + text.length) * 8, 24);
  head.writeUInt32LE(4096 * 8, 28);
  head[35] = 1;
  head[36] = 8;
  return join(head, text);
}

test('the metadata file exists, empty, as soon as its stream is added', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  await producer.addStream('metadata');
  t.deepEqual(relay.tree(), { [file]: Buffer.alloc(0) });
});

test('commands are appended one behind the other, each with its padding', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  producer.metadata(stream, pattern(4096));
  producer.metadata(stream, pattern(436, 1), 3660);
  producer.metadata(stream, '/* CTF 1.8 */');
  await producer.stored(stream, none);
  t.deepEqual(
    relay.tree()[file],
    join(pattern(4096), pattern(436, 1), Buffer.alloc(3660), Buffer.from('/* CTF 1.8 */')),
  );
});

test('several metadata packets in one command are stored as they came, as live producers send them', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay, { liveTimerUs: 1000 });
  const stream = await producer.addStream('metadata');
  const first = join(metadataPacket(pattern(4059)));
  const second = metadataPacket(pattern(399, 1));
  producer.metadata(stream, join(first, second), 3660);
  await producer.stored(stream, none);
  t.deepEqual(relay.tree()[file], join(first, second, Buffer.alloc(3660)));
});

for (const bytes of [1, 7, 24, 37, 1000])
  test(`a conversation in pieces of ${bytes} byte${bytes === 1 ? '' : 's'} is understood`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay);
    const stream = await producer.addStream('metadata');
    const sent = join(
      r.sendMetadata(stream, pattern(300), 5),
      r.sendMetadata(stream, pattern(1), 0),
      r.quiescentControl(stream),
      r.sendMetadata(stream, pattern(40, 2), 1),
      r.quiescentControl(stream),
    );
    for (const piece of pieces(sent, bytes)) {
      producer.control.write(piece);
      await new Promise(setImmediate);
    }
    t.is((await producer.control.read(8)).toString('hex'), '0000000a0000000a');
    await producer.stored(stream, none);
    t.deepEqual(
      relay.tree()[file],
      join(pattern(300), Buffer.alloc(5), pattern(1), pattern(40, 2), Buffer.alloc(1)),
    );
  });

test('8 MiB of text in one command pass without being held in one piece', async (t) => {
  const relay = await TestRelay.start(t, { limits: { slabs: 4 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  const text = pattern(8 * 1024 * 1024);
  producer.metadata(stream, text, 3);
  await producer.stored(stream, none);
  await producer.finish([[stream, r.noPacket]]);
  await relay.empty();
  t.true(relay.tree()[file]?.equals(join(text, Buffer.alloc(3))));
});

test('padding of several MiB is written, not held', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  producer.metadata(stream, 'x', 5_000_000);
  await producer.stored(stream, none);
  await producer.finish([[stream, r.noPacket]]);
  await relay.empty();
  t.true(relay.tree()[file]?.equals(join(Buffer.from('x'), Buffer.alloc(5_000_000))));
});

test('RESET_METADATA begins a new file under the same name', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  producer.metadata(stream, 'old');
  await producer.stored(stream, none);
  const before = statSync(path(relay.outputPath, file)).ino;
  await producer.ok(r.resetMetadata(stream));
  t.deepEqual(relay.tree()[file], Buffer.alloc(0));
  producer.metadata(stream, 'new text', 1);
  await producer.stored(stream, none);
  t.deepEqual(relay.tree()[file], Buffer.from('new text\0'));
  t.not(statSync(path(relay.outputPath, file)).ino, before);
  await producer.ok(r.resetMetadata(stream, 2n));
  producer.metadata(stream, 'third');
  await producer.finish([[stream, r.noPacket]]);
  await relay.empty();
  t.deepEqual(relay.tree(), { [file]: Buffer.from('third') });
});

test('metadata without text closes the connection without a reply', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  producer.control.write(r.sendMetadata(stream, Buffer.alloc(0)));
  t.is((await producer.control.rest()).length, 0);
  t.is(relay.complaints(producer.control.name)[0]?.code, 'MR_ERR_RELAY_METADATA');
});

test('metadata that ends in the middle of its command is cut back to the last whole one', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('metadata');
  producer.metadata(stream, 'whole');
  producer.control.write(r.sendMetadata(stream, pattern(5000)).subarray(0, 3000));
  await producer.control.end();
  await producer.data.end();
  await relay.empty();
  t.deepEqual(relay.tree()[file], Buffer.from('whole'));
  t.true((relay.status().lost['unfinished metadata']?.bytes ?? 0) > 0);
});

test('metadata may come after its packets, and after their streams are closed', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const metadata = await producer.addStream('metadata');
  await producer.packet(stream, 0n, pattern(100));
  await producer.stored(stream, 0n);
  await producer.ok(r.closeStream(stream, 0n));
  producer.metadata(metadata, 'late');
  await producer.finish([[metadata, r.noPacket]]);
  await relay.empty();
  t.deepEqual(relay.tree()[file], Buffer.from('late'));
});

test('a metadata stream closed with a last number ends with its session all the same', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const metadata = await producer.addStream('metadata');
  producer.metadata(metadata, 'text');
  await producer.finish([[metadata, 7n]]);
  await relay.empty();
  t.deepEqual(relay.tree()[file], Buffer.from('text'));
});
