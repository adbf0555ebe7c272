/** Requests that come together: answered in order, together, and whatever a slow reader does. */
import { once } from 'node:events';
import { join, pattern, u32 } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

test('requests of one segment are answered in order, and their replies leave in one write', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  const reads: Buffer[] = [];
  peer.socket.on('data', (bytes: Buffer) => reads.push(bytes));
  peer.write(join(r.version(15), r.getConfiguration(), r.request(r.codes.startData)));
  const reply = await peer.read(24);
  t.is(reply.toString('hex'), '000000020000000f0000000a00000000000000010000000a');
  t.is(reads.length, 1);
  await peer.end();
});

test('a whole conversation in one segment, up to an error, is answered up to its refusal', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  peer.write(
    join(
      r.version(15),
      r.createSession(15),
      r.createTraceChunk(0n),
      r.addStream(15, { channelName: 'c_0', path: ustPath }),
      r.request(4),
      r.addStream(15, { channelName: 'd_0', path: ustPath }),
    ),
  );
  const path = `vm/s1-${r.creationDate}\0`;
  const expected = join(
    Buffer.from('000000020000000f', 'hex'),
    Buffer.from('00000000000000010000000a', 'hex'),
    u32(path.length),
    Buffer.from(path),
    u32(10),
    Buffer.from('00000000000000010000000a', 'hex'),
    u32(11),
  );
  t.deepEqual(await peer.rest(), expected);
  await peer.closed;
  await relay.empty();
  t.deepEqual(Object.keys(relay.tree()), [`vm/s1-${r.creationDate}/${ustPath}/c_0`]);
});

test('what came before a bad header in the same segment is carried out', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const metadata = await producer.addStream('metadata');
  producer.control.write(
    join(
      r.sendMetadata(metadata, pattern(100)),
      r.quiescentControl(metadata),
      r.request(r.codes.version, Buffer.alloc(0), 1n << 63n),
    ),
  );
  t.is((await producer.control.rest()).toString('hex'), '0000000a');
  await producer.control.closed;
  await producer.data.destroy();
  await relay.empty();
  t.deepEqual(relay.tree()[`vm/s1-${r.creationDate}/${ustPath}/metadata`], pattern(100));
});

test('what came before a bad frame in the same segment is stored', async (t) => {
  const relay = await TestRelay.start(t, { limits: { inFlightSeconds: 0.1 } });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 50);
  producer.data.write(join(r.dataFrame(stream, 0n, pattern(50)), r.dataFrame(99n, 0n, pattern(50))));
  await producer.data.closed;
  await producer.control.destroy();
  await relay.empty();
  const directory = `vm/s1-${r.creationDate}/${ustPath}`;
  t.deepEqual(relay.tree(), {
    [`${directory}/c_0`]: pattern(50),
    [`${directory}/index/c_0.idx`]: r.indexFile(15, [[0, r.indexFacts(0n, 50)]]),
  });
});

test('a producer that half-closes its control connection still gets every reply', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  peer.socket.end(join(r.version(15), r.createSession(15, { basePath: 'b' }), r.request(r.codes.startData)));
  const reply = await peer.rest();
  t.is(reply.toString('hex', reply.length - 4), '0000000a');
  await peer.closed;
  await relay.empty();
});

test('10,000 requests that nobody fetched the replies of are answered once they are fetched', async (t) => {
  const relay = await TestRelay.start(t);
  const peer = await Peer.connect(relay.control);
  await peer.ask(r.version(15), 8);
  peer.socket.pause();
  const question = r.getConfiguration();
  const all = join(...Array.from({ length: 10_000 }, () => question));
  if (!peer.socket.write(all)) await Promise.race([once(peer.socket, 'drain'), peer.closed]);
  peer.socket.resume();
  const replies = await peer.read(120_000);
  t.is(replies.toString('hex'), '0000000a0000000000000001'.repeat(10_000));
  await peer.end();
});
