import test from 'ava';
import { Pace } from '../../lib/disk/pace.ts';

/** A pace whose clock moves by hand; `write` makes a write of so many milliseconds. */
function byHand(): { pace: Pace; write: (ms: number) => void; pass: (ms: number) => void } {
  let nowMs = 1000;
  const pace = new Pace(() => nowMs);
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  const write = (ms: number): void => {
    const startedMs = pace.now();
    pass(ms);
    pace.took(startedMs);
  };
  return { pace, write, pass };
}

test('one write that the scheduler interrupted leaves the disk quick', (t) => {
  const { pace, write } = byHand();
  write(60);
  t.true(pace.quick);
});

test('a disk that stalls is quick again half a second after its last slow write', (t) => {
  const { pace, write, pass } = byHand();
  write(200);
  t.false(pace.quick);
  pass(499);
  t.false(pace.quick);
  pass(1);
  t.true(pace.quick);
});

test('slow writes add up within a second, and are forgotten after it', (t) => {
  const { pace, write, pass } = byHand();
  for (let i = 0; i < 6; i++) {
    write(60);
    pass(600);
    t.true(pace.quick, `60 ms in 660, write ${i}`);
  }
  pass(1000);
  for (let i = 0; i < 2; i++) write(60);
  t.true(pace.quick);
  write(60);
  t.false(pace.quick);
});
