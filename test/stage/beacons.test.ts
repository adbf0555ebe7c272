import test from 'ava';
import { Beacons } from '../../lib/stage/beacons.ts';

test('a beacon is due as soon as every stream has moved, and covers what moved', (t) => {
  const beacons = new Beacons(1, 1000, () => 0);
  beacons.open(1);
  beacons.open(2);
  t.is(beacons.due(), undefined);
  beacons.moved(1, 0n);
  beacons.moved(1, 1n);
  t.is(beacons.due(), undefined);
  beacons.moved(2, 0n);
  t.deepEqual(beacons.due(), {
    kind: 'sync',
    session: 1,
    safe: [
      { stream: 1, netSeqNum: 1n },
      { stream: 2, netSeqNum: 0n },
    ],
  });
  t.is(beacons.due(), undefined);
});

test('a beacon is due at its rate while anything moves, and never when nothing was sent since the last', (t) => {
  let nowMs = 0;
  const beacons = new Beacons(1, 1000, () => nowMs);
  beacons.open(1);
  beacons.open(2);
  beacons.moved(1, 0n);
  nowMs = 999;
  t.is(beacons.due(), undefined);
  nowMs = 1000;
  t.deepEqual(beacons.due()?.safe, [{ stream: 1, netSeqNum: 0n }]);
  nowMs = 5000;
  t.is(beacons.due(), undefined);
  t.is(beacons.due(true), undefined);
});

test('a stream that has ended is not waited for, and its last packets are covered', (t) => {
  const beacons = new Beacons(1, 1000, () => 0);
  beacons.open(1);
  beacons.open(2);
  beacons.moved(1, 4n);
  beacons.end(1);
  t.is(beacons.due(), undefined);
  beacons.moved(2, 0n);
  t.is(beacons.due()?.safe.length, 2);
  beacons.moved(2, 1n);
  t.deepEqual(beacons.due(true)?.safe, [{ stream: 2, netSeqNum: 1n }]);
});
