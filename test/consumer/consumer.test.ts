/** A consumer that is steered while it runs: every packet arrives once, whatever is asked for and when. */
import { Writable } from 'node:stream';
import test from 'ava';
import { Consumer } from '../../lib/consumer/consumer.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { order } from '../../lib/stage/order.ts';
import { pattern, random } from '../helpers/bytes.ts';
import { FrameScript, packet, part, record, text } from '../helpers/frame-script.ts';
import * as f from '../helpers/frames.ts';
import { sourceOf } from '../helpers/pipes.ts';

/** Targets that keep what they get, behind an order stage that holds it against the grammar. */
class Targets {
  readonly got: { uri: string; frames: Frame[]; bytes: Buffer[] }[] = [];

  open(uri: string): Promise<Writable> {
    if (uri === 'bad') return Promise.reject(new Error('nobody there'));
    const target = { uri, frames: [] as Frame[], bytes: [] as Buffer[] };
    this.got.push(target);
    const stage = order();
    const sink = new Writable({
      objectMode: true,
      write({ frames, slab }: FrameBatch, _, callback) {
        for (const frame of frames) {
          target.frames.push(frame);
          if (frame.kind === 'data' || frame.kind === 'metadata')
            target.bytes.push(Buffer.from((slab?.bytes ?? Buffer.alloc(0)).subarray(frame.start, frame.end)));
        }
        slab?.release();
        callback();
      },
    });
    const pipe = compose([
      { name: 'order', stream: stage },
      { name: 'target', stream: sink },
    ]);
    const front = new Writable({
      objectMode: true,
      write: (batch, _, callback) => {
        stage.write(batch);
        callback();
      },
      final(callback) {
        stage.end();
        void pipe.outcome.then((how) => callback(how.kind === 'error' ? how.error : null));
      },
    });
    return Promise.resolve(front);
  }

  /** Packets by stream and number, over all targets. */
  packets(): string[] {
    return this.got.flatMap(({ frames }) =>
      frames.flatMap((frame) =>
        frame.kind === 'data' && frame.last ? [`${frame.stream}:${frame.netSeqNum}`] : [],
      ),
    );
  }
}

const opening = () => [
  f.sessionOpen(),
  f.chunkOpen(),
  f.streamOpen(),
  f.streamOpen({ stream: 2, channelName: 'ch_1' }),
  f.streamOpen({ stream: 9, channelName: 'metadata' }),
  f.published(),
  text('metadata'),
];
const closing = (last: bigint) => [
  f.streamEnd(undefined, 9),
  f.streamEnd(last, 1),
  f.streamEnd(last, 2),
  { ...f.chunkDone(), action: 'none' as const },
  f.sessionEnd(),
];

test('a new URI frees the old target and installs the new one, between two packets', async (t) => {
  const targets = new Targets();
  const consumer = new Consumer({ uri: 'a', open: (uri) => targets.open(uri) });
  const script = new FrameScript()
    .batch(...opening(), ...packet(1, 0n, pattern(10)), part(1, 1n, pattern(20), 0, 5))
    .batch(part(1, 1n, pattern(20), 5), record(1, 1n, 20), ...packet(2, 0n, pattern(30)))
    .batch(
      ...packet(1, 2n, pattern(40)),
      ...packet(2, 1n, pattern(50)),
      ...packet(2, 2n, pattern(60)),
      ...closing(2n),
    );
  const [first, second, third] = script.batches as [FrameBatch, FrameBatch, FrameBatch];
  await write(consumer, first);
  const change = consumer.setUri('b');
  t.like(consumer.status, { state: 'switching', uri: 'b', targets: 1 }, 'a packet is under way');
  await write(consumer, second);
  await change;
  t.like(consumer.status, { state: 'streaming', targets: 2 });
  await write(consumer, third);
  consumer.end();
  await new Promise((resolve) => consumer.once('close', resolve));
  t.deepEqual(targets.packets(), ['1:0', '1:1', '2:0', '1:2', '2:1', '2:2']);
  const [a, b] = targets.got;
  t.deepEqual(
    a?.frames.slice(-3).map(({ kind }) => kind),
    ['streamEnd', 'chunkDone', 'sessionEnd'],
  );
  t.like(b?.frames[0], { kind: 'sessionOpen', sessionName: 's1-part-2' });
  t.deepEqual(b?.bytes[0], Buffer.from('metadata'));
  t.is(script.pool.inUse, 0);
});

test('disabled, it holds back who sends and ends what the target has; enabled, it goes on', async (t) => {
  const targets = new Targets();
  const consumer = new Consumer({ uri: 'a', open: (uri) => targets.open(uri) });
  const script = new FrameScript()
    .batch(...opening(), ...packet(1, 0n, pattern(10)))
    .batch(...packet(1, 1n, pattern(10)));
  const [first, second] = script.batches as [FrameBatch, FrameBatch];
  await write(consumer, first);
  await consumer.disable();
  t.is(targets.got[0]?.frames.at(-1)?.kind, 'sessionEnd');
  let taken = false;
  const writing = write(consumer, second).then(() => {
    taken = true;
  });
  await f.tick();
  t.false(taken);
  t.is(consumer.status.state, 'disabled');
  await consumer.setUri('b');
  t.is(targets.got.length, 1, 'a URI alone does not enable');
  await consumer.enable();
  await writing;
  t.deepEqual(targets.packets(), ['1:0', '1:1']);
  consumer.destroy();
  await new Promise((resolve) => consumer.once('close', resolve));
  t.is(script.pool.inUse, 0);
});

test('a target that cannot be opened is told of, and another one can be named', async (t) => {
  const targets = new Targets();
  const consumer = new Consumer({ uri: 'a', open: (uri) => targets.open(uri) });
  const script = new FrameScript()
    .batch(...opening(), ...packet(1, 0n, pattern(10)))
    .batch(...packet(1, 1n, pattern(10)));
  const [first, second] = script.batches as [FrameBatch, FrameBatch];
  await write(consumer, first);
  await t.throwsAsync(consumer.setUri('bad'), { message: /nobody there/ });
  t.is(consumer.status.state, 'disabled');
  const writing = write(consumer, second);
  await consumer.setUri('c');
  await consumer.enable();
  await writing;
  t.deepEqual(targets.packets(), ['1:0', '1:1']);
  consumer.destroy();
});

test('what is asked for in an unlucky moment costs no packet and doubles none (seeded)', async (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const next = random(seed);
    const targets = new Targets();
    const consumer = new Consumer({ uri: 'u0', open: (uri) => targets.open(uri) });
    const script = new FrameScript({ slabs: 200 }).batch(...opening());
    const count = 12;
    for (let n = 0; n < count; n += 1)
      for (const stream of [1, 2]) {
        const content = pattern(40 + n);
        const cut = 1 + (next() % 30);
        const number = BigInt(n);
        if (next() % 2) script.batch(...packet(stream, number, content));
        else
          script
            .batch(part(stream, number, content, 0, cut))
            .batch(part(stream, number, content, cut), record(stream, number, content.length));
      }
    script.batch(...closing(BigInt(count - 1)));
    const pipe = compose([
      { name: 'source', stream: sourceOf(script.batches) },
      { name: 'consumer', stream: consumer },
    ]);
    const asked: Promise<unknown>[] = [];
    for (let change = 1; change < 6; change += 1) {
      await f.tick();
      asked.push(consumer.setUri(`u${change}`).catch(() => undefined));
      if (next() % 3 === 0) asked.push(consumer.disable().catch(() => undefined));
      asked.push(consumer.enable().catch(() => undefined));
    }
    t.deepEqual(await pipe.outcome, { kind: 'end' }, `seed ${seed}`);
    await Promise.all(asked);
    const expected = Array.from({ length: count }, (_, n) => [`1:${n}`, `2:${n}`]).flat();
    t.deepEqual(targets.packets(), expected, `seed ${seed}`);
    t.is(script.pool.inUse, 0);
  }
});

function write(sink: Writable, batch: FrameBatch): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(batch, (error) => (error ? reject(error) : resolve()));
  });
}
