import test from 'ava';
import { Awake } from '../../lib/os/awake.ts';

/** A loop whose turns and time are the test's. */
function loop() {
  let [nowMs, turns] = [0, 0];
  let next: (() => void) | undefined;
  const awake = new Awake(
    () => nowMs,
    (turn) => {
      next = turn;
    },
  );
  /** The loop turns as long as it is kept from sleeping, each turn 0.01 ms; at most `ms`. Returns how often. */
  const turn = (ms: number) => {
    const [before, untilMs] = [turns, nowMs + ms];
    for (let due = next; due !== undefined && nowMs < untilMs; due = next) {
      next = undefined;
      nowMs += 0.01;
      turns += 1;
      due();
    }
    nowMs = untilMs;
    return turns - before;
  };
  return { awake, turn };
}

test('it stays awake for a while behind an answer, then sleeps', (t) => {
  const { awake, turn } = loop();
  awake.answered();
  const turns = turn(1);
  t.true(turns >= 4 && turns <= 6, `${turns}`);
  t.is(turn(1), 0);
});

test('where bytes come in bulk it sleeps at once', (t) => {
  const { awake, turn } = loop();
  awake.answered();
  awake.rest();
  t.is(turn(1), 1);
});

test('as long as questions come in time it never sleeps', (t) => {
  const { awake, turn } = loop();
  for (let i = 0; i < 1000; i++) {
    awake.answered();
    t.true(turn(0.03) >= 2);
  }
});

test('peers that take their time are not waited for, but for one answer in 64', (t) => {
  const { awake, turn } = loop();
  const waited = (answers: number) => {
    let times = 0;
    for (let i = 0; i < answers; i++) {
      awake.answered();
      if (turn(1) > 0) times += 1;
    }
    return times;
  };
  t.is(waited(8), 8);
  t.is(waited(640), 10);
  // the next one that is waited for comes back in time, and so do those behind it
  for (let i = 0; i < 64 + 8; i++) {
    awake.answered();
    turn(0.03);
  }
  turn(1);
  t.is(waited(7), 7);
});
