/** A producer that is gone in the middle of a rotation: nothing stays in a temporary place. */
import { Producer } from '../helpers/producer.ts';
import { TestRelay } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const session = `vm/s1-${r.creationDate}`;
const created = '20231114T221321+0000';

test('a producer that is gone before it closed the old chunk leaves it where it was, and the new one by its name', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, Buffer.alloc(100, 1));
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  await producer.packet(stream, 1n, Buffer.alloc(50, 2));
  await producer.stored(stream, 1n);
  await producer.vanish();
  await relay.empty();
  const tree = relay.tree();
  const trace = 'ust/uid/0/64-bit';
  t.deepEqual(tree[`${session}/${trace}/c_0`], Buffer.alloc(100, 1));
  t.deepEqual(tree[`${session}/${created}-1/${trace}/c_0`], Buffer.alloc(50, 2));
  t.is(Object.keys(tree).filter((path) => path.includes('.tmp')).length, 0);
});
