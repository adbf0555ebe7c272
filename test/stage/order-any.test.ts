import test from 'ava';
import fc from 'fast-check';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import type { Data, Frame } from '../../lib/stage/frames.ts';
import { type Slab, SlabPool } from '../../lib/stage/slab.ts';
import {
  data,
  index,
  opening,
  sessionEnd,
  streamEnd,
  streamOpen,
  sync,
  throughOrder,
} from '../helpers/frames.ts';

/** Two streams of ten packets, each whole or in two parts, some halves missing, all of it shuffled. */
const packets = 10n;
const streams = [1, 2];

const halves = (): Frame[][] => {
  const found: Frame[][] = [];
  for (const stream of streams) {
    // packet 0 comes first in any case: it says where counting begins
    for (let n = 1n; n < packets; n += 1n) {
      const parts =
        n % 3n === 0n
          ? [data(n, { stream, last: false, end: 4 }), data(n, { stream, offsetBytes: 4, start: 4 })]
          : [data(n, { stream })];
      found.push(parts, [index(n, { stream })]);
    }
  }
  return found;
};

const mangled = fc
  .record({
    kept: fc.shuffledSubarray(halves(), { minLength: 0 }),
    syncs: fc.array(
      fc.record({ at: fc.nat(40), one: fc.bigInt(0n, packets - 1n), two: fc.bigInt(0n, packets - 1n) }),
      {
        maxLength: 3,
      },
    ),
    cuts: fc.array(fc.nat(60), { maxLength: 8 }),
    ends: fc.boolean(),
  })
  .map(({ kept, syncs, cuts, ends }) => {
    const frames = kept.flat();
    for (const { at, one, two } of syncs) frames.splice(at, 0, sync([1, one], [2, two]));
    const all = [
      ...opening(),
      streamOpen({ stream: 2 }),
      ...streams.flatMap((stream) => [data(0n, { stream }), index(0n, { stream })]),
      ...frames,
      ...(ends ? streams.map((stream) => streamEnd(packets - 1n, stream)) : []),
      sessionEnd(),
    ];
    const edges = [...new Set([0, ...cuts.filter((at) => at < all.length), all.length])].sort(
      (a, b) => a - b,
    );
    return edges.slice(1).map((edge, i) => all.slice(edges[i], edge));
  });

/** What the grammar promises a sink, checked frame by frame with nothing but lists of what went before. */
function promises(frames: Frame[]): string | undefined {
  for (const [at, frame] of frames.entries()) {
    const past = frames.slice(0, at);
    const of = (stream: number) => past.filter((each) => 'stream' in each && each.stream === stream);
    if (frame.kind === 'data' || frame.kind === 'lost') {
      const before = of(frame.stream);
      const moved = before.filter((each) => each.kind === 'data' || each.kind === 'lost').at(-1);
      const isRest = (moved as Data | undefined)?.last === false;
      const done = new Set(
        before.flatMap((each) => (each.kind === 'data' || each.kind === 'lost' ? [each.netSeqNum] : [])),
      );
      const due = BigInt(done.size) - (isRest ? 1n : 0n);
      const isLateIndex =
        frame.kind === 'lost' &&
        done.has(frame.netSeqNum) &&
        !before.some((each) => each.kind === 'index' && each.netSeqNum === frame.netSeqNum);
      if (frame.netSeqNum !== due && !isLateIndex) return `${frame.kind} ${frame.netSeqNum}, due ${due}`;
    }
    if (frame.kind === 'sync') {
      for (const { stream, netSeqNum } of frame.safe) {
        const before = of(stream);
        if (before.some(({ kind }) => kind === 'streamEnd')) continue;
        for (let n = 0n; n <= netSeqNum; n += 1n) {
          const has = (kind: string) =>
            before.some((each) => each.kind === kind && 'netSeqNum' in each && each.netSeqNum === n);
          if (!has('lost') && !(has('data') && has('index'))) return `sync before packet ${n} of ${stream}`;
        }
      }
    }
  }
  return undefined;
}

test('order: whatever is missing and however it is mixed, a sink gets what the grammar promises', async (t) => {
  await fc.assert(
    fc.asyncProperty(mangled, async (lists) => {
      const pool = new SlabPool({ slabBytes: 8, slabs: 64 });
      const quota = pool.quota(64);
      const input = lists.map((frames): FrameBatch => ({ slab: pool.acquire(quota) as Slab, frames }));
      const { passed, error } = await throughOrder(input, { ceilings: { orderHeldSlabs: 64 } });
      if (error !== undefined) throw error;
      const broken = promises(passed);
      if (broken !== undefined) throw new Error(broken);
      if (pool.inUse !== 0) throw new Error(`${pool.inUse} slabs lent out`);
      const sent = lists.flat();
      const arrived = new Set(passed);
      const withheld = sent.filter((frame) => !arrived.has(frame) && frame.kind !== 'streamEnd');
      if (withheld.length > 0) throw new Error(`withheld: ${withheld.map(({ kind }) => kind).join()}`);
    }),
    { numRuns: 200 },
  );
  t.pass();
});
