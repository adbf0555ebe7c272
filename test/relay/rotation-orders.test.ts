/**
 * A rotation over real connections: the orders in which lttng-relayd crashes or writes wrong offsets, and what ends a
 * rotation that is pending. All orders are in test/disk/switch-order.test.ts; here the bytes come through sockets.
 */
import { join, pattern } from '../helpers/bytes.ts';
import { archived, closeChunk, exists, refusal, settled } from '../helpers/chunks.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';
import { interleavings } from '../helpers/store.ts';

const directory = (session: string): string => `vm/${session}-${r.creationDate}`;
const old = archived(0);
const next = settled(1);

/** Waits until the relay has written so many data bytes of a session, wherever they lie. */
async function received(relay: TestRelay, session: string, bytes: number): Promise<void> {
  const size = () => {
    const files = Object.entries(relay.tree());
    const own = files.filter(([path]) => path.startsWith(directory(session)) && path.endsWith('/c_0'));
    return own.reduce((sum, [, data]) => sum + (data?.length ?? 0), 0);
  };
  await until(
    () => size() === bytes,
    () => `${size()} bytes of ${bytes}`,
  );
}

/** Data and index file of a chunk that holds `packets`, each with its number. */
function stored(root: string, packets: ReadonlyArray<readonly [n: number, content: Buffer]>) {
  let offset = 0;
  const records = packets.map(([n, content]) => {
    const record = [offset, r.indexFacts(BigInt(n), content.length)] as const;
    offset += content.length;
    return record;
  });
  const data = { [`${root}/${ustPath}/c_0`]: join(...packets.map(([, content]) => content)) };
  return packets.length === 0
    ? data
    : { ...data, [`${root}/${ustPath}/index/c_0.idx`]: r.indexFile(15, records) };
}

type Step = readonly ['frame' | 'half' | 'rest' | 'index', number] | 'rotate';

/** What belongs to the session, without the directories that are empty. */
function filesOf(relay: TestRelay, session: string): Record<string, Buffer | null> {
  const root = `${directory(session)}/`;
  const own = Object.entries(relay.tree()).filter(([path, bytes]) => path.startsWith(root) && bytes !== null);
  return Object.fromEntries(own.map(([path, bytes]) => [path.slice(root.length), bytes]));
}

test('three packets and a rotation in every order, one packet in halves around it: each byte is in its chunk', async (t) => {
  const relay = await TestRelay.start(t);
  const contents = [pattern(40, 1), pattern(60, 2), pattern(80, 3)];
  const indexes = [0, 1, 2].map((n): Step => ['index', n]);
  const sequences: Step[][] = [
    [0, 1, 2].map((n): Step => ['frame', n]),
    [
      ['frame', 0],
      ['half', 1],
      ['rest', 1],
      ['frame', 2],
    ],
  ];
  let sessions = 0;
  for (const split of [1, 2])
    for (const data of sequences)
      for (let at = 0; at <= split; at += 1)
        for (const order of interleavings<Step>(data, [
          ...indexes.slice(0, at),
          'rotate',
          ...indexes.slice(at),
        ])) {
          // Halves are of interest around the request only.
          const cut = order.findIndex((step) => step[0] === 'half');
          if (cut >= 0 && order[cut + 1] !== 'rotate') continue;
          sessions += 1;
          const sessionName = `s${sessions}`;
          const producer = await Producer.open(t, relay, { sessionName, idSessiond: BigInt(sessions) });
          const stream = await producer.addStream('c_0');
          let sent = 0;
          for (const step of order) {
            if (step === 'rotate') {
              await producer.ok(r.createTraceChunk(1n));
              await producer.ok(r.rotateStreams([[stream, BigInt(split)]], 1n));
              await closeChunk(producer, 0n, 'move');
              continue;
            }
            const [kind, n] = step;
            const content = contents[n] as Buffer;
            if (kind === 'index') {
              await producer.index(stream, BigInt(n), content.length);
              continue;
            }
            const frame = r.dataFrame(stream, BigInt(n), content);
            const middle = 32 + content.length / 2;
            producer.data.write(
              kind === 'frame' ? frame : kind === 'half' ? frame.subarray(0, middle) : frame.subarray(middle),
            );
            sent += kind === 'frame' ? content.length : content.length / 2;
            await received(relay, sessionName, sent);
          }
          await producer.stored(stream, 2n);
          const what = `at ${split}: ${order.map((step) => (step === 'rotate' ? 'R' : step.join(''))).join(' ')}`;
          t.false(await exists(producer, 0n), what);
          const packets = contents.map((content, n) => [n, content] as const);
          t.deepEqual(
            filesOf(relay, sessionName),
            { ...stored(old, packets.slice(0, split)), ...stored(next, packets.slice(split)) },
            what,
          );
          await producer.finish([[stream, 2n]]);
        }
  t.log(`${sessions} orders`);
});

/** A stream with packet 0 stored and packet 1 announced, rotating at 2 into chunk 1; chunk 0 is closed. */
async function pending(t: Parameters<typeof TestRelay.start>[0], options = {}) {
  const relay = await TestRelay.start(t, options);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.index(stream, 1n, 8);
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 2n]], 1n));
  await closeChunk(producer, 0n, 'move');
  return { relay, producer, stream };
}

test('a chunk exists until its last stream has left it and it has its final name', async (t) => {
  const { relay, producer, stream } = await pending(t);
  t.true(await exists(producer, 0n));
  t.deepEqual(Object.keys(filesOf(relay, 's1')), [
    `.tmp_old_chunk/${ustPath}/c_0`,
    `.tmp_old_chunk/${ustPath}/index/c_0.idx`,
  ]);
  producer.frame(stream, 1n, pattern(8, 1));
  await producer.stored(stream, 1n);
  t.false(await exists(producer, 0n));
  const packets = [
    [0, pattern(8)],
    [1, pattern(8, 1)],
  ] as const;
  await relay.made('c_0');
  t.deepEqual(filesOf(relay, 's1'), { ...stored(old, packets), ...stored(next, []) });
});

test('a second rotation while one is pending gets 153; the first goes on', async (t) => {
  const { relay, producer, stream } = await pending(t, { limits: { inFlightSeconds: 0.1 } });
  t.is(await refusal(producer, r.rotateStreams([[stream, 3n]], 1n)), '00000099');
  producer.frame(stream, 1n, pattern(8, 1));
  await producer.data.end();
  await relay.empty();
  t.deepEqual(filesOf(relay, 's1')[`${old}/${ustPath}/c_0`], join(pattern(8), pattern(8, 1)));
});

test('nothing of a rotation that names an unknown stream takes effect', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.ok(r.createTraceChunk(1n));
  const request = r.rotateStreams(
    [
      [stream, 1n],
      [99n, 0n],
    ],
    1n,
  );
  t.is(await refusal(producer, request), '00000061');
  await producer.data.end();
  await relay.empty();
  const paths = Object.keys(filesOf(relay, 's1'));
  t.is(paths.filter((path) => path.endsWith('/c_0')).length, 1, 'no file in the next chunk');
});

const ends: Record<string, (producer: Producer, stream: bigint) => Promise<unknown>> = {
  'its control connection goes': (producer) => producer.control.end().then(() => producer.data.end()),
  'its data connection goes': (producer) => producer.data.end().then(() => producer.control.end()),
  'both connections go without a word': (producer) => producer.vanish(),
  'the stream is closed before its last packet': async (producer, stream) => {
    await producer.ok(r.closeStream(stream, 0n));
    await producer.control.end();
    await producer.data.end();
  },
};
for (const [what, end] of Object.entries(ends))
  test(`a rotation is pending when ${what}: the old chunk is archived with what it has`, async (t) => {
    const { relay, producer, stream } = await pending(t, { limits: { inFlightSeconds: 0.1 } });
    await end(producer, stream);
    await relay.empty();
    t.deepEqual(filesOf(relay, 's1'), stored(old, [[0, pattern(8)]]));
  });

test('a stream that never had a packet goes over at once at position 0', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 0n]], 1n));
  await closeChunk(producer, 0n, 'move');
  t.false(await exists(producer, 0n));
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  t.deepEqual(filesOf(relay, 's1'), { ...stored(old, []), ...stored(next, [[0, pattern(8)]]) });
});

test('after a clear the producer goes on with a number behind the position: nothing of it is lost', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 0n]], 1n));
  await closeChunk(producer, 0n, 'delete');
  producer.frame(stream, 0n, pattern(8));
  const facts = { ...r.indexFacts(0n, 8), packetSeqNum: 1n };
  await producer.ok(r.sendIndex(15, stream, 0n, facts));
  await producer.stored(stream, 0n);
  t.deepEqual(filesOf(relay, 's1'), {
    [`${ustPath}/c_0`]: pattern(8),
    [`${ustPath}/index/c_0.idx`]: r.indexFile(15, [[0, facts]]),
  });
});

test('a position in the past rotates behind what was received', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  for (const n of [0, 1, 2]) await producer.packet(stream, BigInt(n), pattern(8, n));
  await producer.stored(stream, 2n);
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  await closeChunk(producer, 0n, 'move');
  t.false(await exists(producer, 0n));
  await producer.packet(stream, 3n, pattern(8, 3));
  await producer.stored(stream, 3n);
  t.deepEqual(filesOf(relay, 's1'), {
    ...stored(
      old,
      [0, 1, 2].map((n) => [n, pattern(8, n)] as const),
    ),
    ...stored(next, [[3, pattern(8, 3)]]),
  });
});

test('rotated to none, then to a chunk: packets go on there, and between the two there is no file for them', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(8));
  await producer.stored(stream, 0n);
  await producer.ok(r.rotateStreams([[stream, 1n]]));
  await closeChunk(producer, 0n, 'move');
  await producer.ok(r.createTraceChunk(1n));
  await producer.ok(r.rotateStreams([[stream, 1n]], 1n));
  await producer.packet(stream, 1n, pattern(8, 1));
  await producer.stored(stream, 1n);
  t.deepEqual(filesOf(relay, 's1'), {
    ...stored(old, [[0, pattern(8)]]),
    ...stored(next, [[1, pattern(8, 1)]]),
  });
});

test('metadata goes over at once, and its text is sent again: each chunk has the whole of it', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const metadata = await producer.addStream('metadata');
  producer.metadata(metadata, 'first', 3);
  await producer.ok(r.createTraceChunk(1n));
  producer.metadata(metadata, ' and more');
  await producer.ok(r.rotateStreams([[metadata, 0n]], 1n));
  producer.metadata(metadata, 'all of it');
  await closeChunk(producer, 0n, 'move');
  t.false(await exists(producer, 0n));
  t.deepEqual(filesOf(relay, 's1'), {
    [`${old}/${ustPath}/metadata`]: Buffer.from('first\0\0\0 and more'),
    [`${next}/${ustPath}/metadata`]: Buffer.from('all of it'),
  });
});

test('all three forms of ROTATE_STREAMS rotate to the chunk that they name', async (t) => {
  const relay = await TestRelay.start(t);
  for (const [n, form] of ([20, 16, 13] as const).entries()) {
    const sessionName = `s${n}`;
    const producer = await Producer.open(t, relay, { sessionName, idSessiond: BigInt(n) });
    const streams = [await producer.addStream('c_0'), await producer.addStream('c_1')];
    await producer.ok(r.createTraceChunk(1n));
    await producer.ok(
      r.rotateStreams(
        streams.map((stream) => [stream, 0n] as const),
        1n,
        form,
      ),
    );
    await closeChunk(producer, 0n, 'delete');
    await relay.made(`${directory(sessionName)}/${ustPath}/c_0`, `${directory(sessionName)}/${ustPath}/c_1`);
    t.deepEqual(Object.keys(filesOf(relay, sessionName)), [`${ustPath}/c_0`, `${ustPath}/c_1`]);
  }
});
