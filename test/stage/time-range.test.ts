import test from 'ava';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { Renumbering } from '../../lib/stage/renumber.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import { timeRange } from '../../lib/stage/time-range.ts';
import {
  chunkDone,
  data,
  index,
  lost,
  metadata,
  opening,
  sessionEnd,
  sessionOpen,
  streamEnd,
  streamOpen,
  sync,
  throughOrder,
} from '../helpers/frames.ts';
import { outcomes } from '../helpers/outcomes.ts';
import { pooled } from '../helpers/pipes.ts';
import { inFlightOf, stall } from '../helpers/stall.ts';

// packet n lies between 10 n and 10 n + 9; the clock shows nanoseconds
const clockOf = () => (cycles: bigint) => cycles;

async function ranged(
  range: { beginNs?: bigint; endNs?: bigint },
  frames: Frame[],
  clock = clockOf,
): Promise<Frame[]> {
  const stage = timeRange({ ...range, clockOf: clock });
  const passed: Frame[] = [];
  stage.on('data', (batch: FrameBatch) => passed.push(...batch.frames));
  for (const frame of frames) stage.write({ slab: looseSlab(Buffer.alloc(8)), frames: [frame] });
  stage.end();
  await new Promise((resolve) => stage.once('end', resolve));
  return passed;
}

const packets = (from: bigint, to: bigint): Frame[] => {
  const frames: Frame[] = [];
  for (let n = from; n <= to; n += 1n) frames.push(data(n), index(n));
  return frames;
};
const ends = (last: bigint) => [streamEnd(last), streamEnd(undefined, 9), chunkDone(), sessionEnd()];
const numbers = (frames: Frame[], kind: 'data' | 'index') =>
  frames.flatMap((frame) => (frame.kind === kind ? [frame.netSeqNum] : []));
/** Which packets passed: the tracer's own number is kept. */
const packetsOf = (frames: Frame[]) =>
  frames.flatMap((frame) => (frame.kind === 'index' ? [frame.packetSeqNum] : []));

test('time: packets that touch the span pass, numbered without holes, in the order of the grammar', async (t) => {
  const passed = await ranged({ beginNs: 25n, endNs: 49n }, [...opening(), ...packets(0n, 9n), ...ends(9n)]);
  t.deepEqual(packetsOf(passed), [2n, 3n, 4n]);
  t.deepEqual(numbers(passed, 'data'), [0n, 1n, 2n]);
  t.deepEqual(numbers(passed, 'index'), [0n, 1n, 2n]);
  t.like(
    passed.find(({ kind }) => kind === 'streamEnd'),
    { lastNetSeqNum: 2n },
  );
  const { error, passed: ordered } = await throughOrder([
    { slab: looseSlab(Buffer.alloc(8)), frames: passed },
  ]);
  t.is(error, undefined);
  t.false(ordered.some(({ kind }) => kind === 'lost'));
});

test('time: an index may come before its data, far behind it, or between its parts', async (t) => {
  const part = data(2n, { last: false, end: 4 });
  const rest = data(2n, { offsetBytes: 4, start: 4 });
  const mixed = [
    index(1n),
    data(0n),
    data(1n),
    part,
    index(0n),
    index(2n),
    rest,
    data(3n),
    data(4n),
    index(4n),
    index(3n),
  ];
  for (const [beginNs, kept] of [
    [0n, [0n, 1n, 2n, 3n, 4n]],
    [20n, [2n, 3n, 4n]],
    [40n, [4n]],
  ] as const) {
    const passed = await ranged({ beginNs }, [...opening(), ...mixed, ...ends(4n)]);
    t.deepEqual(new Set(packetsOf(passed)), new Set(kept));
    t.deepEqual(numbers(passed, 'data').length, kept.length + (beginNs <= 20n ? 1 : 0));
    const { error } = await throughOrder([{ slab: looseSlab(Buffer.alloc(8)), frames: passed }]);
    t.is(error, undefined);
  }
});

test('time: nothing of the span leaves an empty stream, and beacons speak of what is left', async (t) => {
  const beacon = sync([1, 9n]);
  const none = await ranged({ beginNs: 500n }, [...opening(), ...packets(0n, 9n), beacon, ...ends(9n)]);
  t.deepEqual(numbers(none, 'data'), []);
  t.deepEqual(
    none.find(({ kind }) => kind === 'sync'),
    sync(),
  );
  t.like(
    none.find(({ kind }) => kind === 'streamEnd'),
    { lastNetSeqNum: undefined },
  );
  const some = await ranged({ endNs: 45n }, [...opening(), ...packets(0n, 9n), beacon, ...ends(9n)]);
  t.deepEqual(
    some.find(({ kind }) => kind === 'sync'),
    sync([1, 4n]),
  );
});

test('time: a loss is judged by its index, and passes without one', async (t) => {
  const frames = [
    ...opening(),
    lost(0n, { index: index(0n) }),
    lost(1n),
    index(2n),
    lost(2n),
    ...packets(3n, 4n),
    ...ends(4n),
  ];
  const passed = await ranged({ beginNs: 20n }, frames);
  t.deepEqual(
    passed.flatMap((frame) => (frame.kind === 'lost' ? [frame.netSeqNum] : [])),
    [0n, 1n],
  );
  t.deepEqual(numbers(passed, 'data'), [2n, 3n]);
});

test('time: what has no index, or no clock, passes whole', async (t) => {
  const snapshot = [
    sessionOpen({ snapshot: true }),
    streamOpen(),
    streamOpen({ stream: 9, channelName: 'metadata' }),
    metadata(),
    data(7n),
    data(8n),
    streamEnd(8n),
    streamEnd(undefined, 9),
    sessionEnd(),
  ];
  t.deepEqual(await ranged({ beginNs: 500n }, snapshot), snapshot);
  const none = await ranged(
    { beginNs: 500n },
    [...opening(), ...packets(0n, 3n), ...ends(3n)],
    () => undefined as never,
  );
  t.deepEqual(numbers(none, 'data'), [0n, 1n, 2n, 3n]);
});

test('time: the clock may be known late', async (t) => {
  const [command, ...before] = opening().toReversed();
  const frames = [
    ...before.toReversed(),
    ...packets(0n, 3n),
    command as Frame,
    ...packets(4n, 5n),
    ...ends(5n),
  ];
  t.deepEqual(packetsOf(await ranged({ beginNs: 30n, endNs: 49n }, frames)), [3n, 4n]);
});

test('renumbering: numbers go on from 2^64 - 1 to 0', (t) => {
  const numbering = new Renumbering();
  const last = 2n ** 64n - 1n;
  numbering.begin(last - 1n);
  numbering.takeOut(last);
  numbering.takeOut(1n);
  t.deepEqual(
    [last - 1n, 0n, 2n].map((n) => numbering.numberOf(n)),
    [last - 1n, last, 0n],
  );
  t.is(numbering.lastKept(1n), last);
});

test('time: end, error and abort leave no slab lent out', (t) =>
  outcomes(t, {
    name: 'time',
    stage: () => timeRange({ beginNs: 20n, clockOf }),
    batches: () =>
      pooled(
        6,
        (slab, at): FrameBatch => ({
          slab,
          frames:
            at === 0
              ? opening()
              : [data(BigInt(at)), ...(at % 2 === 0 ? [index(BigInt(at)), index(BigInt(at - 1))] : [])],
        }),
      ),
  }));

test('time: a stalled sink holds the source back', (t) =>
  stall(t, {
    stage: timeRange({ beginNs: 0n, clockOf }),
    batch: () => ({ slab: undefined, frames: [sessionOpen()] }),
    inFlight: inFlightOf(2),
  }));
