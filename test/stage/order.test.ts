import { Readable, Writable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import type { MillraceError } from '../../lib/errors.ts';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose } from '../../lib/stage/compose.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { type OrderOptions, order } from '../../lib/stage/order.ts';
import { looseSlab, type Slab } from '../../lib/stage/slab.ts';
import {
  chunkDone,
  chunkOpen,
  data,
  index,
  lost,
  metadata,
  opening,
  sessionEnd,
  sessionOpen,
  streamEnd,
  streamOpen,
  switchTo,
  sync,
  throughOrder,
} from '../helpers/frames.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

const single = (frames: Frame[]): FrameBatch[] =>
  frames.map((frame) => ({ slab: undefined, frames: [frame] }));

async function passes(t: ExecutionContext, input: Frame[], expected: Frame[], options?: OrderOptions) {
  const { passed, error } = await throughOrder(single([...opening(), ...input]), options);
  t.is(error, undefined);
  t.deepEqual(passed.slice(opening().length), expected);
}

async function refuses(t: ExecutionContext, input: Frame[], message: RegExp, options?: OrderOptions) {
  const { error } = await throughOrder(single([...opening(), ...input]), options);
  t.is((error as MillraceError | undefined)?.code, 'MR_ERR_STAGE_ORDER');
  t.regex((error as MillraceError).message, message);
}

const neverCame = (netSeqNum: bigint): Frame => lost(netSeqNum, { cause: 'its data never came' });

test('order: early packets wait for the one that is due, all their parts with them', async (t) => {
  const part = data(2n, { last: false, end: 4 });
  const rest = data(2n, { offsetBytes: 4, start: 4 });
  await passes(
    t,
    [data(0n), data(3n), part, rest, data(1n), data(4n)],
    [data(0n), data(1n), part, rest, data(3n), data(4n)],
  );
});

test('order: an index passes as it comes, before its data or after it', async (t) => {
  const frames = [index(0n), data(0n), data(1n), index(1n)];
  await passes(t, frames, frames);
});

test('order: a hole is lost when its stream ends, what should follow when the session does', async (t) => {
  await passes(
    t,
    [data(0n), index(0n), index(1n), data(2n), index(2n), streamEnd(4n), sessionEnd()],
    [
      data(0n),
      index(0n),
      index(1n),
      index(2n),
      lost(1n, { cause: 'its data never came', index: index(1n) }),
      data(2n),
      neverCame(3n),
      neverCame(4n),
      streamEnd(4n),
      streamEnd(undefined, 9),
      sessionEnd(),
    ],
  );
});

test('order: a packet cut short and a packet without index are lost when the session ends', async (t) => {
  const part = data(1n, { last: false });
  const metadataEnd = streamEnd(undefined, 9);
  await passes(
    t,
    [data(0n), part, sessionEnd({ outcome: 'abort' })],
    [
      data(0n),
      part,
      lost(1n, { cause: 'its data was cut short' }),
      lost(0n, { cause: 'its index never came' }),
      streamEnd(1n),
      metadataEnd,
      sessionEnd({ outcome: 'abort' }),
    ],
  );
});

test('order: lost fills a hole in its turn, and settles an index that never came', async (t) => {
  await passes(
    t,
    [data(0n), lost(2n), lost(0n), data(1n), index(1n), streamEnd(2n)],
    [data(0n), lost(0n), data(1n), lost(2n), index(1n), streamEnd(2n)],
  );
});

test('order: numbers go on from 2^64 - 1 to 0', async (t) => {
  const frames = [0xffff_ffff_ffff_fffen, 0xffff_ffff_ffff_ffffn, 0n, 1n].flatMap((n) => [data(n), index(n)]);
  await passes(t, [...frames, streamEnd(1n)], [...frames, streamEnd(1n)]);
});

test('order: a sync waits for data and index of every packet that it covers', async (t) => {
  const two = streamOpen({ stream: 2, channelName: 'ch_1' });
  const of2 = { stream: 2 };
  await passes(
    t,
    [
      two,
      data(0n),
      sync([1, 0n], [2, 1n]),
      data(0n, of2),
      index(0n, of2),
      index(0n),
      index(1n, of2),
      data(1n, of2),
    ],
    [
      two,
      data(0n),
      data(0n, of2),
      index(0n, of2),
      index(0n),
      index(1n, of2),
      data(1n, of2),
      sync([1, 0n], [2, 1n]),
    ],
  );
});

test('order: syncs keep their order, and the end of a stream settles what it owed', async (t) => {
  await passes(
    t,
    [data(0n), sync([1, 0n]), sync(), streamEnd(0n)],
    [data(0n), lost(0n, { cause: 'its index never came' }), streamEnd(0n), sync([1, 0n]), sync()],
  );
});

test('order: in a session without indexes a sync needs the data alone, and nothing is missed', async (t) => {
  const frames = [
    sessionOpen({ snapshot: true }),
    streamOpen(),
    data(3n),
    sync([1, 3n]),
    streamEnd(3n),
    sessionEnd(),
  ];
  const { passed } = await throughOrder(single(frames));
  t.deepEqual(passed, frames);
});

test('order: the end of a stream waits for data that is still under way', async (t) => {
  const part = data(1n, { last: false, end: 4 });
  const rest = data(1n, { offsetBytes: 4, start: 4 });
  await passes(
    t,
    [data(0n), part, streamEnd(3n), rest, data(3n), index(0n), index(1n), data(2n)],
    [
      data(0n),
      part,
      rest,
      index(0n),
      index(1n),
      data(2n),
      data(3n),
      lost(2n, { cause: 'its index never came' }),
      lost(3n, { cause: 'its index never came' }),
      streamEnd(3n),
    ],
  );
});

const wrong: Record<string, [Frame[], RegExp]> = {
  'a packet that comes twice': [[data(0n), data(0n)], /its packet has passed/],
  'an index that comes twice': [[index(0n), index(0n)], /its packet has an index/],
  'an early packet that came twice': [[data(0n), data(2n), data(2n)], /its packet has come/],
  'lost for what is there': [[data(0n), index(0n), lost(0n)], /its packet has passed/],
  'a part at the wrong place': [
    [data(0n, { last: false, end: 4 }), data(0n, { offsetBytes: 5 })],
    /byte 4 is due, not 5/,
  ],
  'an index ahead of its metadata': [
    [index(0n, { metadataPositionBytes: 9 })],
    /of the metadata it needs only 8 bytes have come/,
  ],
  'an end before what came': [[data(0n), data(1n), streamEnd(0n)], /packet 1 came, 0 is called the last/],
  'metadata of a version left out': [[metadata({ version: 2 })], /version 2 follows 0/],
  'metadata of a new version in the middle of a command': [
    [metadata({ last: false }), metadata({ version: 1 })],
    /version 1 follows 0/,
  ],
  'a stream of another session': [
    [sessionOpen({ session: 2 }), { ...streamEnd(), session: 2 }],
    /its stream belongs to session 1/,
  ],
  'a chunk that is done': [[chunkDone(0n), switchTo(0n)], /switch is not allowed there/],
  'a hole that is too large': [[data(0n), data(1n << 40n)], /it skips 1099511627775 packets/],
  'data behind the end': [[data(0n), streamEnd(1n), data(2n)], /packet 1 was called the last/],
  'a second end': [[data(0n), streamEnd(1n), streamEnd(1n)], /the stream has been ended before/],
  'an end that is too far': [[data(0n), streamEnd(1n << 40n)], /it skips 1099511627775 packets/],
};
for (const [sin, [frames, message]] of Object.entries(wrong)) {
  test(`order: refuses ${sin}`, (t) => refuses(t, frames, message));
}

test('order: the ceilings hold', async (t) => {
  const early = [data(0n), data(2n), data(3n), data(4n)];
  await refuses(t, early, /at most 2 frames are held back/, { ceilings: { orderHeldFrames: 2 } });
  await refuses(t, early, /more than 0 packets/, { ceilings: { halfPacketsPerStream: 0 } });
  const streams = [streamOpen({ stream: 2 }), streamOpen({ stream: 3 })];
  await refuses(t, streams, /at most 3 streams/, { ceilings: { streamsPerSession: 3 } });
});

test('order: metadata may begin anew with each version and after each rotation', async (t) => {
  const at = (netSeqNum: bigint, metadataPositionBytes: number) =>
    index(netSeqNum, { metadataPositionBytes });
  const frames = [
    at(0n, 8),
    metadata({ last: false }),
    metadata({ paddingSizeBytes: 4 }),
    at(1n, 28),
    metadata({ version: 1 }),
    at(2n, 8),
    chunkOpen(1n),
    switchTo(1n, 9),
    metadata({ version: 1, end: 16 }),
    at(3n, 16),
  ];
  await passes(t, frames, frames);
});

const slabsOf = (count: number) => {
  const { pool, batches } = pooled(count, (slab) => ({ slab, frames: [] }));
  return { pool, slabs: batches.map(({ slab }) => slab) };
};

test('order: what passes keeps its slab, neighbours in one batch', async (t) => {
  const { pool, slabs } = slabsOf(3);
  const [a, b, c] = slabs as [Slab, Slab, Slab];
  const input: FrameBatch[] = [
    { slab: a, frames: [...opening(), data(0n), index(0n), data(2n)] },
    { slab: b, frames: [data(3n, { start: 8, end: 16 }), data(1n)] },
    { slab: c, frames: [data(4n), index(1n)] },
  ];
  const { batches, error } = await throughOrder(input);
  t.is(error, undefined);
  t.deepEqual(
    batches.map(({ slab, frames }) => [
      slab,
      frames.flatMap((frame) => (frame.kind === 'data' ? [frame.netSeqNum] : [])),
    ]),
    [
      [a, [0n]],
      [b, [1n]],
      [a, [2n]],
      [b, [3n]],
      [c, [4n]],
    ],
  );
  t.is(pool.inUse, 0);
});

test('order: more slabs than allowed are not held back, and all of them go home', async (t) => {
  const { pool, slabs } = slabsOf(6);
  const input = slabs.map((slab, at): FrameBatch => {
    const frames = at === 0 ? [...opening(), data(0n)] : [data(BigInt(at + 1))];
    return { slab, frames };
  });
  const { error } = await throughOrder(input);
  t.regex((error as MillraceError).message, /at most 4 slabs are held back/);
  t.is(pool.inUse, 0);
});

test('order: a frame that is refused costs no slab, wherever the others are', async (t) => {
  const { pool, slabs } = slabsOf(3);
  const [a, b, c] = slabs as [Slab, Slab, Slab];
  const { error } = await throughOrder([
    { slab: a, frames: [...opening(), data(0n), data(2n)] },
    { slab: b, frames: [data(3n)] },
    { slab: c, frames: [data(1n), data(0n)] },
  ]);
  t.truthy(error);
  t.is(pool.inUse, 0);
});

test('order: an input that ends in the middle is closed as an abort', async (t) => {
  const seen: Frame[] = [];
  const { outcome } = compose([
    { name: 'source', stream: Readable.from(single([...opening(), index(0n)])) },
    { name: 'order', stream: order() },
    {
      name: 'sink',
      stream: new Writable({
        objectMode: true,
        write(batch: FrameBatch, _encoding, callback) {
          seen.push(...batch.frames);
          callback();
        },
      }),
    },
  ]);
  t.is((await outcome).kind, 'end');
  t.deepEqual(seen.slice(opening().length + 1), [
    lost(0n, { cause: 'its data never came', index: index(0n) }),
    streamEnd(0n),
    streamEnd(undefined, 9),
    sessionEnd({ outcome: 'abort' }),
  ]);
});

test('order: end, error and abort are three outcomes, and slabs go home, early packets among them', (t) =>
  outcomes(t, {
    name: 'order',
    stage: () => order(),
    batches: () =>
      pooled(12, (slab, at): FrameBatch => {
        // 0, 2, 1, 4, 3 …, the last one early
        const netSeqNum = at === 0 ? 0 : at % 2 === 1 ? at + 1 : at - 1;
        return { slab, frames: [...(at === 0 ? opening() : []), data(BigInt(netSeqNum))] };
      }),
  }));

test('order: a stalled sink stops the source', (t) => {
  const slab = looseSlab(Buffer.alloc(8));
  const batch = (at: number): FrameBatch => ({
    slab: slab.retain(),
    frames: [...(at === 0 ? opening() : []), data(BigInt(at))],
  });
  return stall(t, { stage: order(), batch, inFlight: inFlightOf(2) });
});
