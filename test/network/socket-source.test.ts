import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import {
  type SocketSource,
  type SocketSourceOptions,
  socketSource,
} from '../../lib/network/socket-source.ts';
import { type ByteBatch, releaseBatch } from '../../lib/stage/batch.ts';
import { SlabPool } from '../../lib/stage/slab.ts';
import { pair, turns, until } from './pair.ts';

/** Small memory, so that every limit is met: slabs of 1024 bytes, a scratch buffer of 128. */
function memory(slabs: number, byEvents: boolean) {
  const pool = new SlabPool({ slabBytes: 1024, slabs });
  return { pool, quota: pool.quota(slabs), scratch: Buffer.alloc(128), name: 'peer', byEvents };
}

/** A source that is taken down with its test. */
function open(t: ExecutionContext, socket: Socket, options: SocketSourceOptions): SocketSource {
  const source = socketSource(socket, options).on('error', () => undefined);
  t.teardown(() => source.destroy());
  return source;
}

const bytesOf = ({ slab, start, end }: ByteBatch): Buffer => slab.bytes.subarray(start, end);

/** Takes every batch and keeps it; what was taken is counted. */
function keepAll(source: SocketSource): { batches: ByteBatch[]; bytes(): number; text(): string } {
  const batches: ByteBatch[] = [];
  source.on('data', (batch: ByteBatch) => batches.push(batch));
  return {
    batches,
    bytes: () => batches.reduce((sum, { start, end }) => sum + end - start, 0),
    text: () => batches.map((batch) => bytesOf(batch).toString('latin1')).join(''),
  };
}

/** Writes and waits until the kernel has all of it. */
function send(far: Socket, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) => far.write(bytes, () => resolve()));
}

for (const byEvents of [false, true]) {
  const way = byEvents ? 'by events' : 'into slabs';

  for (const expectsMore of [false, true])
    test(`${way}: bytes arrive whole and in order, whatever is released when${expectsMore ? ', and more expected' : ''}`, async (t) => {
      const { accepted, far } = await pair(t);
      const options = { ...memory(3, byEvents), expectsMore };
      const source = open(t, accepted, options);
      const sent = randomBytes(300_000);
      const hash = createHash('sha256');
      let bytes = 0;
      const held: ByteBatch[] = [];
      source.on('data', (batch: ByteBatch) => {
        hash.update(bytesOf(batch));
        bytes += batch.end - batch.start;
        held.push(batch);
        const late = randomInt(3);
        if (late === 0) for (const each of held.splice(0)) releaseBatch(each);
        else if (late === 1) setImmediate(() => held.splice(0).forEach(releaseBatch));
        else {
          source.pause();
          setImmediate(() => {
            held.splice(0).forEach(releaseBatch);
            source.resume();
          });
        }
      });
      const ended = once(source, 'end');
      for (let at = 0; at < sent.length; ) {
        const length = randomInt(1, 5000);
        await send(far, sent.subarray(at, at + length));
        at += length;
      }
      far.end();
      await ended;
      t.is(bytes, sent.length);
      t.is(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
      held.splice(0).forEach(releaseBatch);
      await turns();
      t.is(options.pool.inUse, 0);
      t.is(options.pool.waiting, 0);
    });

  test(`${way}: the end of the peer is an end; the socket still writes`, async (t) => {
    const { accepted, far } = await pair(t);
    accepted.allowHalfOpen = true;
    const options = memory(2, byEvents);
    const source = open(t, accepted, options);
    const taken = keepAll(source);
    far.end('last words');
    await once(source, 'end');
    await until(() => source.closed);
    t.is(taken.text(), 'last words');
    source.socket.end('answer');
    const [answer] = (await once(far, 'data')) as [Buffer];
    t.is(answer.toString(), 'answer');
    taken.batches.forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: a broken connection is an error that names the peer, and frees what was queued`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(2, byEvents);
    const source = open(t, accepted, options);
    const failing = once(source, 'error');
    const taken = keepAll(source);
    far.write('half a mess');
    await until(() => taken.bytes() === 11);
    far.resetAndDestroy();
    const [error] = (await failing) as [Error];
    t.like(error, { code: 'MR_ERR_NETWORK_LOST', facts: { peer: 'peer' } });
    t.regex(error.message, /ECONNRESET/);
    taken.batches.forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: an abort closes the socket, frees slabs and waiters, and is no end`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(1, byEvents);
    const source = open(t, accepted, options);
    source.on('end', () => t.fail('an abort is no end'));
    await send(far, Buffer.alloc(5000));
    far.resume();
    source.read(0);
    await until(() => source.readableLength === 1);
    t.is(options.pool.inUse, 1);
    source.destroy();
    await once(source, 'close');
    t.is(options.pool.inUse, 0);
    await until(() => far.closed);

    const waiting = await pair(t);
    const waiter = open(t, waiting.accepted, options);
    const taken = keepAll(waiter);
    await send(waiting.far, Buffer.alloc(5000));
    await until(() => options.pool.waiting === 1);
    waiter.destroy();
    await once(waiter, 'close');
    t.is(options.pool.waiting, 0);
    taken.batches.forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: a socket that is closed under its source is lost, not ended`, async (t) => {
    const { accepted } = await pair(t);
    const source = open(t, accepted, memory(1, byEvents));
    source.on('end', () => t.fail('no end'));
    source.resume();
    source.socket.destroy();
    const [error] = (await once(source, 'error')) as [Error];
    t.like(error, { code: 'MR_ERR_NETWORK_LOST' });
  });

  test(`${way}: nobody reads before somebody wants bytes`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(2, byEvents);
    const source = open(t, accepted, options);
    await send(far, Buffer.alloc(5000));
    await turns();
    t.is(source.readableLength, 0);
    t.is(options.pool.inUse, 0);
    source.destroy();
  });

  test(`${way}: a sink that takes nothing leaves one batch in flight`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(8, byEvents);
    const source = open(t, accepted, options);
    await send(far, Buffer.alloc(5000));
    source.read(0);
    await until(() => source.readableLength > 0);
    await turns();
    t.is(source.readableLength, 1);
    const batch = source.read() as ByteBatch;
    t.is(batch.end - batch.start, 128);
    await until(() => source.readableLength > 0);
    const next = source.read() as ByteBatch;
    // the rest of the first slab in one read (by events: as the chunk is cut)
    t.is(next.slab, batch.slab);
    t.is(next.start, 128);
    t.is(next.end, 1024);
    source.destroy();
    await once(source, 'close');
    [batch, next].forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: a sink that keeps everything gets the quota, to the byte; each slab that returns brings one more`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(8, byEvents);
    options.quota = options.pool.quota(3);
    const source = open(t, accepted, options);
    await send(far, Buffer.alloc(20_000));
    const taken = keepAll(source);
    await until(() => options.pool.waiting === 1);
    await turns();
    t.is(taken.bytes(), 3 * 1024);
    t.is(options.pool.inUse, 3);
    const first = taken.batches[0]?.slab;
    taken.batches.filter(({ slab }) => slab === first).forEach(releaseBatch);
    await until(() => options.pool.waiting === 1);
    await turns();
    t.is(taken.bytes(), 4 * 1024);
    source.destroy();
  });

  test(`${way}: an idle connection keeps no slab while its last batch travels, and goes on behind it`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(2, byEvents);
    const taken = keepAll(open(t, accepted, options));
    await send(far, 'one');
    await until(() => taken.bytes() === 3);
    await send(far, 'two');
    await until(() => taken.bytes() === 6);
    const [one, two] = taken.batches as [ByteBatch, ByteBatch];
    t.is(two.slab, one.slab);
    t.is(two.start, 3);
    t.is(one.slab.owners, 2);
    taken.batches.splice(0).forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
    await send(far, 'three');
    await until(() => taken.bytes() === 5);
    t.is(taken.text(), 'three');
    t.is(taken.batches[0]?.start, 0);
  });

  test(`${way}: a connection that was idle when the pool ran dry brings one scratch buffer, then waits; and keeps none`, async (t) => {
    const options = memory(1, byEvents);
    const { accepted, far } = await pair(t);
    const slab = options.pool.acquire(options.quota);
    const taken = keepAll(open(t, accepted, options));
    await send(far, 'first');
    await until(() => taken.bytes() === 5);
    await send(far, 'second');
    await turns();
    t.is(taken.text(), 'first');
    t.is(taken.batches[0]?.slab.bytes.length, 5);
    t.is(options.pool.waiting, 1);
    slab?.release();
    await until(() => taken.bytes() === 11);
    t.is(taken.text(), 'firstsecond');
    t.is(options.pool.waiting, 0);
    taken.batches.forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: a slab that came while an earlier one still travels does not have bytes written over that`, async (t) => {
    const options = memory(2, byEvents);
    const { accepted, far } = await pair(t);
    const other = options.pool.acquire(options.quota);
    const taken = keepAll(open(t, accepted, options));
    let sent = '';
    const send100 = async (letter: string) => {
      sent += letter.repeat(100);
      await send(far, letter.repeat(100));
    };
    // nine reads leave less than a scratch buffer of the slab, the tenth finds the pool dry
    for (const letter of 'abcdefghij') {
      await send100(letter);
      await until(() => taken.bytes() === sent.length);
    }
    t.is(options.pool.waiting, 1);
    other?.release();
    await until(() => options.pool.waiting === 0);
    await send100('k');
    await until(() => taken.bytes() === sent.length);
    t.is(taken.text(), sent);
    taken.batches.forEach(releaseBatch);
    t.is(options.pool.inUse, 0);
  });

  test(`${way}: half of the slabs may be held for bytes that do not come after reads that were full`, async (t) => {
    const options = memory(4, byEvents);
    const connections = await Promise.all(Array.from({ length: 6 }, () => pair(t)));
    for (const { accepted, far } of connections) {
      const taken = keepAll(open(t, accepted, options));
      await send(far, Buffer.alloc(128));
      await until(() => taken.bytes() === 128);
      taken.batches.forEach(releaseBatch);
    }
    await turns();
    t.is(options.pool.inUse, 2);
  });

  test(`${way}: a new quota frees a source that waited on the old one`, async (t) => {
    const { accepted, far } = await pair(t);
    const options = memory(4, byEvents);
    const source = open(t, accepted, { ...options, quota: options.pool.quota(1) });
    await send(far, Buffer.alloc(3000));
    const taken = keepAll(source);
    await until(() => options.pool.waiting === 1);
    t.is(taken.bytes(), 1024);
    source.setQuota(options.pool.quota(3));
    await until(() => taken.bytes() === 3000);
    t.is(options.pool.waiting, 0);
    source.destroy();
  });

  test(`${way}: hundreds of waiters share one slab in turn`, async (t) => {
    const options = memory(1, byEvents);
    const slab = options.pool.acquire(options.quota);
    const connections = await Promise.all(Array.from({ length: 200 }, () => pair(t)));
    const texts = connections.map(() => '');
    connections.forEach(({ accepted }, i) => {
      open(t, accepted, options).on('data', (batch: ByteBatch) => {
        texts[i] += bytesOf(batch).toString();
        releaseBatch(batch);
      });
    });
    for (const { far } of connections) far.write('a');
    await until(() => texts.every((text) => text === 'a'));
    for (const [i, { far }] of connections.entries()) far.write(`b${i}`);
    await turns();
    t.is(options.pool.waiting, 200);
    slab?.release();
    await until(() => texts.every((text, i) => text === `ab${i}`));
    await turns();
    t.is(options.pool.inUse, 0);
    t.is(options.pool.waiting, 0);
  });
}

test('where more is expected a large request comes in one read, uncopied, into the same memory; a small one ends that', async (t) => {
  const { accepted, far } = await pair(t);
  const options = { ...memory(4, false), expectsMore: true };
  const source = open(t, accepted, options);
  const reads: Array<{ start: number; length: number }> = [];
  source.on('data', (batch: ByteBatch) => {
    reads.push({ start: batch.start, length: batch.end - batch.start });
    releaseBatch(batch);
  });
  let bytes = 0;
  const request = async (length: number): Promise<void> => {
    bytes += length;
    await send(far, Buffer.alloc(length));
    await until(() => reads.reduce((sum, read) => sum + read.length, 0) === bytes);
    await turns();
  };
  await request(500);
  reads.splice(0);
  bytes = 0;
  for (let n = 0; n < 5; n += 1) await request(500);
  t.deepEqual(
    reads,
    Array.from({ length: 5 }, () => ({ start: 0, length: 500 })),
  );
  t.is(options.pool.inUse, 1);
  await request(20);
  await request(20);
  t.is(options.pool.inUse, 0);
});

test('half of the pool may be held by those who expect more and are silent; nobody else waits for it', async (t) => {
  const options = { ...memory(4, false), expectsMore: true };
  let bytes = 0;
  const open1 = async (): Promise<Socket> => {
    const { accepted, far } = await pair(t);
    const source = open(t, accepted, { ...options, quota: options.pool.quota(2) });
    source.on('data', (batch: ByteBatch) => {
      bytes += batch.end - batch.start;
      releaseBatch(batch);
    });
    return far;
  };
  for (let n = 1; n <= 6; n += 1) {
    await send(await open1(), Buffer.alloc(500));
    await until(() => bytes === n * 500);
    await turns();
    t.is(options.pool.inUse, Math.min(n, 2));
  }
});

test('silent connections hold no memory of the pool and no buffers of their own', async (t) => {
  const pool = new SlabPool();
  const scratch = Buffer.alloc(65_536);
  const sources: SocketSource[] = [];
  const connections = await Promise.all(Array.from({ length: 300 }, () => pair(t)));
  const before = process.memoryUsage().arrayBuffers;
  let said = 0;
  for (const { accepted, far } of connections) {
    const source = open(t, accepted, { pool, quota: pool.quota(), scratch, name: 'peer' });
    source.on('data', (batch: ByteBatch) => {
      said += batch.end - batch.start;
      releaseBatch(batch);
    });
    sources.push(source);
    far.write('hello');
  }
  await until(() => said === 300 * 5);
  t.is(pool.inUse, 0);
  // one slab was made for all of them, and is free again
  t.true(process.memoryUsage().arrayBuffers - before < pool.slabBytes + 300 * 1024);
});
