import test from 'ava';
import fc from 'fast-check';
import {
  afterPass,
  finalPassMs,
  mostFreePasses,
  mostHolds,
  patientPasses,
  RateLimit,
  SpeedWindow,
  stuckPasses,
} from '../../../lib/nbd/migration/pace.ts';

const mib = 1024 * 1024;

test('the speed is that of the last while, not since the start (F.20)', (t) => {
  const speed = new SpeedWindow(0, 10_000);
  t.is(speed.bytesPerSecond(0), 0);
  for (let s = 1; s <= 100; s += 1) speed.add(100 * mib, s * 1000);
  t.true(Math.abs(speed.bytesPerSecond(100_000) / (100 * mib) - 1) < 0.15);
  for (let s = 101; s <= 111; s += 1) speed.add(mib, s * 1000);
  t.true(speed.bytesPerSecond(111_000) < 1.2 * mib);
});

test('the speed of the first moments is over the time that has passed, not over the whole window', (t) => {
  const speed = new SpeedWindow(5000);
  speed.add(10 * mib, 5500);
  t.is(speed.bytesPerSecond(6000), 10 * mib);
});

test('a limit holds on average, whatever the pieces', (t) => {
  const pieces = fc.array(fc.integer({ min: 1, max: 8 * mib }), { minLength: 1, maxLength: 50 });
  const limits = fc.integer({ min: 1000, max: 100 * mib });
  t.notThrows(() =>
    fc.assert(
      fc.property(pieces, limits, (list, bytesPerSecond) => {
        const limit = new RateLimit(bytesPerSecond, 0);
        let nowMs = 0;
        let sent = 0;
        for (const bytes of list) {
          nowMs += limit.waitMs(nowMs);
          // before the next piece, everything so far is within the limit
          if (sent > (bytesPerSecond * nowMs) / 1000 + 1) return false;
          limit.sent(bytes, nowMs);
          sent += bytes;
        }
        // and it does not wait for more than that: a millisecond of rounding a piece
        return nowMs <= ((sent - (list.at(-1) as number)) * 1000) / bytesPerSecond + list.length;
      }),
    ),
  );
});

test('a limit may be set, changed and lifted at any time; an idle hour earns a second', (t) => {
  const limit = new RateLimit(undefined, 0);
  limit.sent(100 * mib, 0);
  t.is(limit.waitMs(0), 0);
  limit.set(mib, 0);
  limit.sent(2 * mib, 0);
  t.is(limit.waitMs(0), 2000);
  t.is(limit.waitMs(500), 1500);
  limit.set(4 * mib, 500);
  t.is(limit.waitMs(500), 0);
  limit.sent(4 * mib, 3_600_000);
  t.is(limit.waitMs(3_600_000), 0);
  limit.sent(4 * mib, 3_600_000);
  t.is(limit.waitMs(3_600_000), 1000);
  limit.set(undefined, 3_600_000);
  t.is(limit.waitMs(3_600_000), 0);
});

test('the final pass waits until it is short enough', (t) => {
  const bounds = { pauseMs: 100, mostPauseMs: 5000 };
  const end = { bytesPerSecond: 100 * mib, stuckPasses: 0, passes: 1, holds: 0 };
  t.is(finalPassMs({ ...end, dirtyBytes: 10 * mib }), 100);
  t.is(afterPass({ ...end, dirtyBytes: 10 * mib }, bounds), 'final');
  t.is(afterPass({ ...end, dirtyBytes: 11 * mib }, bounds), 'again');
  t.is(afterPass({ ...end, dirtyBytes: 0, bytesPerSecond: 0 }, bounds), 'final');
  t.is(afterPass({ ...end, dirtyBytes: 1, bytesPerSecond: 0 }, bounds), 'again');
});

/** Changed at once by requests in flight when the clients are held back, bytes. */
const burstBytes = 4 * mib;

/**
 * Passes over a disk whose clients write `writeRate` bytes a second, times `load`, on a link that carries `linkRate`, and
 * of which each takes `fixedMs` for itself.
 */
function simulate(
  writeRate: number,
  linkRate: number,
  load: readonly number[],
  fixedMs: number,
  bounds: { pauseMs: number; mostPauseMs: number },
) {
  const sizeBytes = 4096 * mib;
  let dirtyBytes = sizeBytes;
  let leastBytes = dirtyBytes;
  let stuck = 0;
  for (let passes = 1, holds = 0; ; passes += 1) {
    const rate = writeRate * (load[passes % load.length] as number);
    const seconds = dirtyBytes / linkRate + fixedMs / 1000;
    const bytesPerSecond = dirtyBytes / seconds;
    // written while that was sent; at most the whole disk, and as `throttle.ts` allows
    const allowed = holds === 0 ? sizeBytes : dirtyBytes / 2 ** holds + burstBytes;
    dirtyBytes = Math.min(sizeBytes, seconds * rate, allowed);
    stuck = stuckPasses(stuck, dirtyBytes, leastBytes);
    leastBytes = Math.min(leastBytes, dirtyBytes);
    const end = { dirtyBytes, bytesPerSecond, stuckPasses: stuck, passes, holds };
    const verdict = afterPass(end, bounds);
    if (verdict === 'final') return { passes, holds, pauseMs: finalPassMs(end), dirtyBytes };
    if (verdict === 'hold') holds += 1;
  }
}

test('passes converge for any load and link, in a bounded number, within the bound or with what was in flight left', (t) => {
  const rates = fc.integer({ min: 1, max: 2000 });
  const loads = fc.array(fc.double({ min: 0.3, max: 1.7, noNaN: true }), { minLength: 1, maxLength: 9 });
  const bounds = fc.constantFrom(
    { pauseMs: 100, mostPauseMs: 5000 },
    { pauseMs: 50, mostPauseMs: 50 },
    { pauseMs: 1, mostPauseMs: 1 },
    { pauseMs: 0, mostPauseMs: 0 },
  );
  const fixed = fc.constantFrom(0, 1, 300);
  t.notThrows(() =>
    fc.assert(
      fc.property(rates, rates, loads, fixed, bounds, (write, link, load, fixedMs, bound) => {
        const how = simulate(write * mib, link * mib, load, fixedMs, bound);
        if (how.passes > mostFreePasses + mostHolds) return false;
        if (how.pauseMs > bound.mostPauseMs) return how.dirtyBytes <= 2 * burstBytes;
        // a link that is half as fast again than the heaviest load is enough, unless the bound is below what a pass costs
        if (fixedMs > 1 || bound.pauseMs < 50 || write * Math.max(...load) * 1.5 > link) return true;
        return how.holds === 0 && how.pauseMs <= bound.pauseMs;
      }),
      { numRuns: 1000 },
    ),
  );
  t.is(patientPasses, 3);
});
