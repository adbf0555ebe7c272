import test from 'ava';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import type { Frame } from '../../lib/stage/frames.ts';
import { nameMatcher, type Selection, select } from '../../lib/stage/select.ts';
import { looseSlab } from '../../lib/stage/slab.ts';
import {
  data,
  inactive,
  index,
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

const second: Frame[] = [
  sessionOpen({ session: 2, sessionName: 's2' }),
  streamOpen({ session: 2, stream: 21, channelName: 'ch_0' }),
  streamOpen({ session: 2, stream: 29, channelName: 'metadata' }),
];
const both: Frame[] = [
  ...opening(),
  streamOpen({ stream: 2, channelName: 'other_0' }),
  ...second,
  data(0n),
  index(0n),
  data(0n, { stream: 2 }),
  index(0n, { stream: 2 }),
  data(0n, { stream: 21 }),
  inactive(21),
  sync([1, 0n], [2, 0n]),
  streamEnd(0n, 2),
  { ...streamEnd(0n, 21), session: 2 },
  sessionEnd({ session: 2 }),
];

function selected(selection: Selection, frames: Frame[]): Frame[] {
  const passed: Frame[] = [];
  const stage = select(selection);
  stage.on('data', (batch: FrameBatch) => passed.push(...batch.frames));
  for (const frame of frames) stage.write({ slab: looseSlab(Buffer.alloc(8)), frames: [frame] });
  return passed;
}

test('select: a session that is not wanted goes with all that is said of it', (t) => {
  const kept = both.filter(
    (frame) =>
      !('session' in frame && frame.session === 2) && !('stream' in frame && [21, 29].includes(frame.stream)),
  );
  t.deepEqual(selected({ session: ({ sessionName }) => sessionName === 's1' }, both), kept);
});

test('select: of streams those that are wanted pass, metadata with them, and beacons speak of them only', (t) => {
  const passed = selected({ stream: nameOf(['ch_*']) }, both);
  t.false(passed.some((frame) => 'stream' in frame && frame.stream === 2));
  t.deepEqual(
    passed.flatMap((frame) => (frame.kind === 'streamOpen' ? frame.channelName : [])),
    ['ch_0', 'metadata', 'ch_0', 'metadata'],
  );
  t.deepEqual(
    passed.find((frame) => frame.kind === 'sync'),
    sync([1, 0n]),
  );
});

test('select: what it lets pass is still in the order of the grammar', async (t) => {
  for (const selection of [{ session: () => false }, { stream: () => false }, {}]) {
    const frames = selected(selection, [...both, streamEnd(0n), streamEnd(undefined, 9), sessionEnd()]);
    const { error } = await throughOrder([{ slab: looseSlab(Buffer.alloc(8)), frames }]);
    t.is(error, undefined);
  }
});

test('select: handles may be given out again', (t) => {
  const wanted = { session: nameMatcherOf('s1') };
  const again = [
    ...second,
    sessionEnd({ session: 2 }),
    sessionOpen({ session: 2 }),
    streamOpen({ session: 2, stream: 21 }),
  ];
  t.is(selected(wanted, again).length, 2);
});

test('select: patterns fit whole names', (t) => {
  const fits = nameMatcher(['auto-*', 'a.b?', 'cpu[0-3]']);
  t.deepEqual(['auto-1', 'x-auto-1', 'a.bc', 'axbc', 'a.b', 'cpu2', 'cpu7'].map(fits), [
    true,
    false,
    true,
    false,
    false,
    true,
    false,
  ]);
  t.true(nameMatcher([])('anything'));
});

test('select: end, error and abort leave no slab lent out', (t) =>
  outcomes(t, {
    name: 'select',
    stage: () => select({ stream: (open) => open.stream !== 1 }),
    batches: () =>
      pooled(
        6,
        (slab, at): FrameBatch => ({
          slab,
          frames: at === 0 ? opening() : [data(BigInt(at), { stream: (at % 2) + 1 })],
        }),
      ),
  }));

test('select: a stalled sink holds the source back', (t) =>
  stall(t, {
    stage: select({}),
    batch: () => ({ slab: undefined, frames: [data(0n)] }),
    inFlight: inFlightOf(2),
  }));

function nameOf(patterns: string[]): (open: { channelName: string }) => boolean {
  const fits = nameMatcher(patterns);
  return ({ channelName }) => fits(channelName);
}

function nameMatcherOf(name: string): (open: { sessionName: string }) => boolean {
  return ({ sessionName }) => sessionName === name;
}
