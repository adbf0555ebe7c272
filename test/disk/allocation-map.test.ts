import test from 'ava';
import { AllocationMap, type DataRun, type ExtentSource } from '../../lib/disk/allocation-map.ts';
import { limits } from '../../lib/limits.ts';
import { toldBy } from '../helpers/told.ts';

const mib = 1024 * 1024;

/** A file system with data at `data`; the steps that were asked for are written down. */
function fileSystem(data: readonly DataRun[]) {
  const steps: { from: number; to: number; runs: number }[] = [];
  const source: ExtentSource = async (from, to, most) => {
    const inside = data
      .filter((run) => run.end > from && run.start < to)
      .map((run) => ({ start: Math.max(run.start, from), end: Math.min(run.end, to) }));
    const runs = inside.slice(0, most);
    steps.push({ from, to, runs: runs.length });
    return { runs, next: inside.length > most ? (runs.at(-1) as DataRun).end : to };
  };
  return { source, steps };
}

const never = new AbortController().signal;

function holes(map: AllocationMap): DataRun[] {
  const found: DataRun[] = [];
  for (let at = 0; at < map.sizeBytes; ) {
    const run = map.run(at, map.sizeBytes);
    if (run.hole) found.push({ start: at, end: run.end });
    at = run.end;
  }
  return found;
}

test('L5: the map of 100,000 extents is built in steps of at most 100 MiB and 1000 extents, with turns between', async (t) => {
  const data = Array.from({ length: 100_000 }, (_, i) => ({ start: i * 12_288, end: i * 12_288 + 4096 }));
  const { source, steps } = fileSystem(data);
  const map = new AllocationMap(100_000 * 12_288);
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  t.teardown(() => clearInterval(count));
  const immediate = (): void => {
    turns += 1;
    if (map.state === 'building') setImmediate(immediate);
  };
  setImmediate(immediate);
  await map.build(source, never);
  t.is(map.state, 'built');
  t.is(map.allocatedBytes, 100_000 * 4096);
  for (const { from, to, runs } of steps) {
    t.true(to - from <= limits.allocationStepBytes);
    t.true(runs <= limits.allocationStepExtents);
  }
  t.true(steps.length >= 100);
  t.true(turns >= steps.length);
});

test('before it is built nothing is called a hole; writes during the build are kept', async (t) => {
  const { source } = fileSystem([{ start: 0, end: 4096 }]);
  const map = new AllocationMap(300 * mib);
  let steps = 0;
  const observed: ExtentSource = async (from, to, most) => {
    steps += 1;
    if (steps === 2) map.mark(10, 20);
    if (steps === 2) map.mark(250 * mib, 250 * mib + 1);
    t.deepEqual(map.run(mib, 2 * mib), { hole: false, end: 2 * mib });
    return source(from, to, most);
  };
  await map.build(observed, never);
  t.deepEqual(holes(map), [
    { start: 4096, end: 250 * mib },
    { start: 250 * mib + 4096, end: 300 * mib },
  ]);
});

test('a punched range is a hole as far as it covers whole blocks, and the last block up to the end', async (t) => {
  const map = new AllocationMap(20_000);
  await map.build(fileSystem([{ start: 0, end: 20_000 }]).source, never);
  map.unmark(100, 12_000);
  t.deepEqual(holes(map), [{ start: 4096, end: 8192 }]);
  map.unmark(15_000, 20_000);
  t.deepEqual(holes(map), [
    { start: 4096, end: 8192 },
    { start: 16_384, end: 20_000 },
  ]);
});

test.serial('L3: a file system that does not say leaves everything data, and is told once', async (t) => {
  const told = toldBy(t, 'disk:no-allocation-map');
  const map = new AllocationMap(1000 * mib);
  await map.build(() => Promise.reject(new Error('EOPNOTSUPP')), never);
  t.is(map.state, 'unknown');
  t.deepEqual(map.run(0, 1000 * mib), { hole: false, end: 1000 * mib });
  t.is(told.length, 1);
});

test.serial('L5: a step that never ends does not hold up the end', async (t) => {
  const told = toldBy(t, 'disk:no-allocation-map');
  const map = new AllocationMap(mib);
  const stop = new AbortController();
  const building = map.build(() => new Promise(() => undefined), stop.signal);
  stop.abort();
  await building;
  t.is(map.state, 'unknown');
  t.is(told.length, 0);
});

test('a huge image gets coarser blocks, and no more memory', (t) => {
  const map = new AllocationMap(16 * 1024 ** 4);
  t.true((16 * 1024 ** 4) / map.blockBytes / 8 <= limits.allocationMapBytes);
});
