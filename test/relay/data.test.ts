/** Data frames: any size, in any pieces, with any numbers; and their index, before or after. */
import { statSync } from 'node:fs';
import { join, none, pattern, pieces } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { Producer, ustPath } from '../helpers/producer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const directory = `vm/s1-${r.creationDate}/${ustPath}`;
const file = `${directory}/c_0`;
const index = `${directory}/index/c_0.idx`;

test('a frame of padding alone is a packet, complete without another byte', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, Buffer.alloc(0), 64);
  await producer.stored(stream, 0n);
  await producer.packet(stream, 1n, pattern(16));
  await producer.finish([[stream, 1n]]);
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [file]: join(Buffer.alloc(64), pattern(16)),
    [index]: r.indexFile(15, [
      [0, r.indexFacts(0n, 64)],
      [64, r.indexFacts(1n, 16)],
    ]),
  });
});

for (const bytes of [1, 5, 32, 33, 100])
  test(`frames in pieces of ${bytes} bytes are understood`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay);
    const one = await producer.addStream('c_0');
    const two = await producer.addStream('d_0');
    const sent = join(
      r.dataFrame(one, 0n, pattern(70), 3),
      r.dataFrame(two, 0n, pattern(1, 1)),
      r.dataFrame(one, 1n, pattern(200, 2)),
      r.dataFrame(two, 1n, pattern(33, 3), 7),
    );
    for (const piece of pieces(sent, bytes)) {
      producer.data.write(piece);
      await new Promise(setImmediate);
    }
    for (const [stream, n, size] of [
      [one, 0n, 73],
      [two, 0n, 1],
      [one, 1n, 200],
      [two, 1n, 40],
    ] as const)
      await producer.index(stream, n, size);
    await producer.stored(one, 1n);
    await producer.stored(two, 1n);
    t.deepEqual(relay.tree(), {
      [file]: join(pattern(70), Buffer.alloc(3), pattern(200, 2)),
      [index]: r.indexFile(15, [
        [0, r.indexFacts(0n, 73)],
        [73, r.indexFacts(1n, 200)],
      ]),
      [`${directory}/d_0`]: join(pattern(1, 1), pattern(33, 3), Buffer.alloc(7)),
      [`${directory}/index/d_0.idx`]: r.indexFile(15, [
        [0, r.indexFacts(0n, 1)],
        [1, r.indexFacts(1n, 40)],
      ]),
    });
  });

test('a packet larger than a slab, and larger than all slabs together, is stored whole', async (t) => {
  const limits = { slabBytes: 65_536, scratchBytes: 16_384, slabs: 2, slabsPerSession: 2 };
  const relay = await TestRelay.start(t, { limits });
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const sizes = [65_536, 65_537, 300_000];
  for (const [n, size] of sizes.entries()) await producer.packet(stream, BigInt(n), pattern(size, n));
  await producer.stored(stream, 2n);
  await producer.finish([[stream, 2n]]);
  await relay.empty();
  const files = relay.tree();
  t.true(files[file]?.equals(join(...sizes.map((size, n) => pattern(size, n)))));
  t.deepEqual(
    files[index],
    r.indexFile(15, [
      [0, r.indexFacts(0n, 65_536)],
      [65_536, r.indexFacts(1n, 65_537)],
      [131_073, r.indexFacts(2n, 300_000)],
    ]),
  );
});

test('a thousand frames in one write are stored in order, with an index record each', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const numbers = [...Array(1000).keys()];
  producer.data.write(join(...numbers.map((n) => r.dataFrame(stream, BigInt(n), pattern(100, n), 28))));
  const requests = numbers.map((n) => r.sendIndex(15, stream, BigInt(n), r.indexFacts(BigInt(n), 128)));
  const replies = await producer.control.ask(join(...requests), 4000);
  t.is(replies.toString('hex'), '0000000a'.repeat(1000));
  await producer.stored(stream, 999n);
  await producer.finish([[stream, 999n]]);
  await relay.empty();
  const files = relay.tree();
  t.true(files[file]?.equals(join(...numbers.flatMap((n) => [pattern(100, n), Buffer.alloc(28)]))));
  const expected = r.indexFile(
    15,
    numbers.map((n) => [n * 128, r.indexFacts(BigInt(n), 128)]),
  );
  t.true(files[index]?.equals(expected));
});

const numbering: ReadonlyArray<readonly [what: string, numbers: readonly bigint[]]> = [
  ['begins at 3, as the third snapshot of a session does', [3n, 4n]],
  ['wraps from 2^64 - 2 over 2^64 - 1 to 0', [none - 1n, none, 0n, 1n]],
  ['jumps', [0n, 5n, 6n]],
];
for (const [what, numbers] of numbering)
  test(`net_seq_num that ${what} is taken as it is`, async (t) => {
    const relay = await TestRelay.start(t);
    const producer = await Producer.open(t, relay);
    const stream = await producer.addStream('c_0');
    for (const n of numbers) await producer.packet(stream, n, pattern(20, Number(n & 0xffn)));
    await producer.stored(stream, numbers.at(-1) as bigint);
    await producer.finish([[stream, numbers.at(-1) as bigint]]);
    await relay.empty();
    t.deepEqual(relay.tree(), {
      [file]: join(...numbers.map((n) => pattern(20, Number(n & 0xffn)))),
      [index]: r.indexFile(
        15,
        numbers.map((n, at) => [at * 20, r.indexFacts(n, 20)]),
      ),
    });
  });

test('an index before its data waits for it; records are in the order in which packets became complete', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 1n, 16);
  await producer.index(stream, 0n, 8);
  t.deepEqual(relay.tree(), { [file]: Buffer.alloc(0) });
  t.is(await producer.pending(stream, 0n), 1);
  producer.frame(stream, 0n, pattern(8));
  producer.frame(stream, 1n, pattern(16, 1));
  await producer.stored(stream, 1n);
  producer.frame(stream, 2n, pattern(24, 2));
  producer.frame(stream, 3n, pattern(32, 3));
  await until(
    () => relay.tree()[file]?.length === 80,
    () => `${relay.tree()[file]?.length} bytes`,
  );
  await producer.index(stream, 3n, 32);
  await producer.index(stream, 2n, 24);
  await producer.stored(stream, 3n);
  await producer.finish([[stream, 3n]]);
  await relay.empty();
  t.deepEqual(relay.tree(), {
    [file]: join(pattern(8), pattern(16, 1), pattern(24, 2), pattern(32, 3)),
    [index]: r.indexFile(15, [
      [0, r.indexFacts(0n, 8)],
      [8, r.indexFacts(1n, 16)],
      [48, r.indexFacts(3n, 32)],
      [24, r.indexFacts(2n, 24)],
    ]),
  });
});

test('the index file appears with the first whole packet, holding its header alone until the index comes', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  await until(
    () => index in relay.tree(),
    () => 'no index file',
  );
  t.deepEqual(relay.tree()[index], r.indexFile(15, []));
});

test('an index twice before its data, while incomplete, gets 11 and a close', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.index(stream, 0n, 8);
  producer.control.write(r.sendIndex(15, stream, 0n, r.indexFacts(0n, 8)));
  t.is((await producer.control.rest()).toString('hex'), '0000000b');
  t.is(relay.complaints(producer.control.name)[0]?.code, 'MR_ERR_RELAY_INDEX');
});

test('a number again after its record was written is a new packet', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  for (const seed of [0, 1]) {
    await producer.packet(stream, 0n, pattern(8, seed));
    await until(
      () => relay.tree()[index]?.length === 16 + 72 * (seed + 1),
      () => `${relay.tree()[index]?.length}`,
    );
  }
  t.deepEqual(relay.tree()[file], join(pattern(8), pattern(8, 1)));
});

test('a number again before its first copy has an index ends the data connection', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.frame(stream, 0n, pattern(8));
  producer.frame(stream, 0n, pattern(8, 1));
  await producer.data.closed;
  t.is(relay.complaints(producer.data.name)[0]?.code, 'MR_ERR_RELAY_INDEX');
});

const foreign: ReadonlyArray<
  readonly [what: string, code: string, stream: (own: Producer, other: bigint) => Promise<bigint>]
> = [
  ['an unknown stream', 'MR_ERR_RELAY_STREAM_UNKNOWN', async () => 99n],
  ['stream 0', 'MR_ERR_RELAY_STREAM_UNKNOWN', async () => 0n],
  ['a stream number above 2^53', 'MR_ERR_RELAY_STREAM_UNKNOWN', async () => (1n << 53n) + 1n],
  ['a metadata stream', 'MR_ERR_RELAY_STREAM_KIND', (own) => own.addStream('metadata')],
];
for (const [what, code, streamOf] of foreign)
  test(`data for ${what} ends the data connection and leaves other sessions alone`, async (t) => {
    const relay = await TestRelay.start(t);
    const good = await Producer.open(t, relay, { sessionName: 'good' });
    const goodStream = await good.addStream('c_0');
    const producer = await Producer.open(t, relay, { idSessiond: 1n });
    producer.frame(await streamOf(producer, goodStream), 0n, pattern(8));
    await producer.data.closed;
    t.deepEqual(
      relay.complaints(producer.data.name).map((told) => told.code),
      [code],
    );
    await good.packet(goodStream, 0n, pattern(5));
    await good.stored(goodStream, 0n);
  });

test('a data connection cannot bring packets for the session of another one', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(5));
  await producer.stored(stream, 0n);
  const stranger = await Peer.connect(relay.data);
  stranger.write(r.dataFrame(stream, 1n, pattern(5, 1)));
  await stranger.closed;
  t.is(relay.complaints(stranger.name)[0]?.code, 'MR_ERR_RELAY_STREAM_FOREIGN');
  await producer.packet(stream, 1n, pattern(5, 2));
  await producer.stored(stream, 1n);
  t.deepEqual(relay.tree()[file], join(pattern(5), pattern(5, 2)));
});

test('data from another host than the control connection is refused', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  const stranger = await Peer.connect(relay.data, '127.0.0.2');
  stranger.write(r.dataFrame(stream, 0n, pattern(5)));
  await stranger.closed;
  t.is(relay.complaints(stranger.name)[0]?.code, 'MR_ERR_RELAY_STREAM_FOREIGN');
  await producer.packet(stream, 0n, pattern(5, 2));
  await producer.stored(stream, 0n);
  t.deepEqual(relay.tree()[file], pattern(5, 2));
});

test('data for a stream that was closed ends the data connection', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  await producer.packet(stream, 0n, pattern(5));
  await producer.stored(stream, 0n);
  await producer.ok(r.closeStream(stream, 0n));
  producer.frame(stream, 1n, pattern(5));
  await producer.data.closed;
  t.is(relay.complaints(producer.data.name)[0]?.code, 'MR_ERR_RELAY_STREAM_UNKNOWN');
});

test('4 GiB of padding are a hole behind the packet, and the next packet lies behind that', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.data.write(r.dataHeader(stream, 0n, 100, 0xffff_ffff));
  producer.data.write(pattern(100));
  await producer.index(stream, 0n, 100);
  await producer.packet(stream, 1n, pattern(5));
  await producer.stored(stream, 1n);
  const { size, blocks } = statSync(`${relay.outputPath}/${file}`);
  t.is(size, 100 + 0xffff_ffff + 5);
  t.true(blocks * 512 < 1_048_576, `${blocks} blocks`);
  await producer.finish([[stream, 1n]]);
  await relay.empty();
});

test('4 GiB of announced data and padding are counted in 64 bits and kept by nobody', async (t) => {
  const relay = await TestRelay.start(t);
  const producer = await Producer.open(t, relay);
  const stream = await producer.addStream('c_0');
  producer.data.write(r.dataHeader(stream, 0n, 0xffff_ffff, 0xffff_ffff));
  producer.data.write(pattern(100_000));
  await until(
    () => relay.tree()[file]?.length === 100_000,
    () => `${relay.tree()[file]?.length} bytes`,
  );
  t.is(await producer.pending(stream, 0n), 1);
  await producer.vanish();
  await relay.empty();
  t.deepEqual(relay.tree(), { [file]: Buffer.alloc(0) });
});
