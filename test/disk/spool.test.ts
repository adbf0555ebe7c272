/** A spool that is read while it is written: everything once, in order, whether it comes from memory or from the files. */
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Spool } from '../../lib/disk/spool.ts';
import { readSpool } from '../../lib/disk/spool-reader.ts';
import { SpoolTail } from '../../lib/disk/spool-tail.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { looseSlab, SlabPool } from '../../lib/stage/slab.ts';
import { pattern, random } from '../helpers/bytes.ts';
import { temporaryDirectory } from '../helpers/disk.ts';
import * as f from '../helpers/frames.ts';

const packetBytes = 3000;

/** A spool, and packets that are put into it as a socket would bring them: several in a slab. */
function scene(t: ExecutionContext, most: number) {
  const budget = { held: 0, most };
  const spool = Spool.create(`${temporaryDirectory(t)}/spool`, 100_000, [budget]);
  const pool = new SlabPool({ slabBytes: 10_000, slabs: 64 });
  const quota = pool.quota(64);
  let sent = 0;
  spool.append({ slab: undefined, frames: [f.sessionOpen(), f.streamOpen()] });
  const send = async (packets: number): Promise<void> => {
    const slab = pool.acquire(quota) ?? looseSlab(Buffer.alloc(10_000));
    const frames: Frame[] = [];
    for (let start = 0; frames.length < 2 * packets; start += packetBytes) {
      pattern(packetBytes, sent).copy(slab.bytes, start);
      const netSeqNum = BigInt(sent);
      const range = { start, end: start + packetBytes, dataSizeBytes: packetBytes };
      frames.push(f.data(netSeqNum, range), f.index(netSeqNum));
      sent += 1;
    }
    spool.append({ slab, frames });
    await spool.room();
  };
  return { spool, pool, budget, send, sent: () => sent };
}

/** Reads to the end and says how many packets came; `pause` before each part. */
async function readAll(t: ExecutionContext, spool: Spool, pause: () => Promise<void>): Promise<number> {
  let next = 0;
  let frames = 0;
  for await (const part of readSpool(spool)) {
    await pause();
    t.is(part.firstFrame, frames);
    frames += part.frames.length;
    for (const frame of part.frames) {
      if (frame.kind !== 'data') continue;
      t.is(frame.netSeqNum, BigInt(next));
      t.true(part.slab?.bytes.subarray(frame.start, frame.end).equals(pattern(packetBytes, next)) === true);
      next += 1;
    }
  }
  return next;
}

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`a reader that keeps up, falls behind and catches up gets everything once, seed ${seed}`, async (t) => {
    const pick = random(seed);
    const { spool, pool, budget, send, sent } = scene(t, 1 + (pick() % 4));
    const pause = async (): Promise<void> => {
      for (let n = pick() % 20; n > 15; n -= 1) await turn();
    };
    const reading = readAll(t, spool, pause);
    for (let n = 0; n < 150; n += 1) {
      await send(1 + (pick() % 3));
      if (pick() % 3 === 0) await turn();
      if (pick() % 30 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    spool.end();
    t.is(await reading, sent());
    t.is(budget.held, 0);
    t.is(pool.inUse, 0);
  });

test('what a reader that keeps up gets is not read from the files', async (t) => {
  const { spool, send } = scene(t, 8);
  const parts = readSpool(spool);
  await parts.next();
  await send(2);
  const { value } = await parts.next();
  const share = value?.slab;
  t.is(value?.frames.length, 4);
  t.is(share?.bytes.length, 10_000, 'the memory in which it came');
  await parts.return();
  t.is(share?.owners, 0);
  spool.end();
});

test('a reader that is called off while it reads does not wait for the next frame', async (t) => {
  const { spool, send } = scene(t, 0);
  await send(3);
  const stop = new AbortController();
  const parts = readSpool(spool, { signal: stop.signal });
  const reading = (async () => {
    for await (const _ of parts) stop.abort(new Error('called off'));
  })();
  await t.throwsAsync(reading, { message: 'called off' });
  spool.end();
});

test('a tail never holds more slabs than its budgets allow, whoever has them', (t) => {
  const [own, all] = [
    { held: 0, most: 2 },
    { held: 0, most: 3 },
  ];
  const tails = [new SpoolTail([own, all]), new SpoolTail([{ held: 0, most: 2 }, all])] as const;
  const slabs = Array.from({ length: 5 }, () => looseSlab(Buffer.alloc(10)));
  for (const tail of tails) tail.begin(0);
  const put = (tail: SpoolTail, slab: number) => tail.put(f.data(0n, { start: 0, end: 10 }), slabs[slab]);
  put(tails[0], 0);
  put(tails[0], 0);
  put(tails[0], 1);
  t.is(all.held, 2, 'a slab counts once');
  put(tails[1], 2);
  put(tails[1], 3);
  t.false(tails[1].isKeeping, 'what is too much is dropped as a whole');
  t.is(all.held, 2);
  const taken = tails[0].take(0);
  t.is(taken?.frames.length, 2, 'frames of one slab come together');
  put(tails[0], 4);
  t.false(tails[0].isKeeping);
  t.is(all.held, 1, 'what was taken counts until it is given back');
  taken?.slab?.release();
  t.is(all.held, 0);
  t.true(slabs.every(({ owners }) => owners === 1));
});

test('whoever waits for room goes on when there is some, or after a moment, however many wait', async (t) => {
  const budget = { held: 0, most: 2 };
  const tail = new SpoolTail([budget]);
  tail.begin(0);
  const put = () => tail.put(f.data(0n, { start: 0, end: 10 }), looseSlab(Buffer.alloc(10)));
  put();
  // nobody takes it
  await Promise.all([tail.room(), tail.room()]);
  t.is(budget.held, 1);
  const waiting = Promise.all([tail.room(), tail.room()]);
  tail.take(0)?.slab?.release();
  await waiting;
  t.is(budget.held, 0);
});
