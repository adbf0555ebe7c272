import test from 'ava';
import fc from 'fast-check';
import {
  isMirroring,
  type MirrorEvent,
  type MirrorState,
  mirrorEvents,
  mirrorStates,
  mirrorTable,
  nextState,
} from '../../../lib/nbd/migration/states.ts';

/** Every pair that may happen, written from nbd-migration D.3 to D.7; one line a state. */
const expected: Record<MirrorState, string> = {
  idle: 'start>connecting stop>stopped',
  connecting: 'connected>waiting failed>idle break>idle stop>stopped',
  waiting: 'mapReady>copying failed>pausing break>idle stop>stopped',
  copying: 'converged>shutting failed>pausing break>idle stop>stopped',
  shutting: 'clientsGone>finishing failed>pausing break>idle stop>stopped',
  finishing: 'sent>stopping resumed>idle failed>pausing break>idle stop>stopped',
  stopping: 'closed>committed failed>pausing break>idle stop>stopped',
  committed: 'ended>done failed>done break>committed stop>committed',
  done: 'break>done stop>done',
  pausing: 'retry>reconnecting break>idle stop>stopped',
  reconnecting: 'connected>waiting failed>pausing break>idle stop>stopped',
  stopped: 'stop>stopped',
};

test('every state and event: what may happen leads where the reference says, everything else is refused', (t) => {
  for (const state of mirrorStates) {
    const allowed = new Map(
      expected[state].split(' ').map((pair) => pair.split('>') as [string, MirrorState]),
    );
    for (const event of mirrorEvents) {
      const next: MirrorState | undefined = allowed.get(event);
      if (next === undefined)
        t.throws(() => nextState(state, event), { code: 'MR_ERR_NBD_MIRROR_STATE' }, `${state} ${event}`);
      else t.is(nextState(state, event), next, `${state} ${event}`);
    }
  }
});

function walk(
  events: readonly MirrorEvent[],
  visit: (from: MirrorState, event: MirrorEvent, to: MirrorState) => void,
): void {
  let state: MirrorState = 'idle';
  for (const event of events) {
    const next: MirrorState | undefined = mirrorTable[state].on[event];
    if (next === undefined) continue;
    visit(state, event, next);
    state = next;
  }
}

test('the disk changes hands once, with no client on it, and never comes back', (t) => {
  const walks = fc.array(fc.constantFrom(...mirrorEvents), { maxLength: 200 });
  t.notThrows(() =>
    fc.assert(
      fc.property(walks, (events) => {
        let handed = 0;
        walk(events, (from, event, to) => {
          const [before, after] = [mirrorTable[from], mirrorTable[to]];
          if (before.canonical === after.canonical) return;
          handed += 1;
          if (event !== 'closed' || after.canonical !== 'destination' || before.admits)
            throw new Error(`${from} ${event} ${to}`);
        });
        return handed <= 1;
      }),
    ),
  );
});

test('after a signal no migration starts (L6), and a break leads back to where one can start (L25)', (t) => {
  t.deepEqual(Object.keys(mirrorTable.stopped.on), ['stop']);
  for (const state of mirrorStates) {
    if (!isMirroring(state) || mirrorTable[state].canonical === 'destination') continue;
    t.is(nextState(state, 'break'), 'idle');
    t.is(nextState(state, 'stop'), 'stopped');
  }
});

test('every state can be reached', (t) => {
  const reached = new Set<MirrorState>(['idle']);
  for (const state of reached) for (const next of Object.values(mirrorTable[state].on)) reached.add(next);
  t.deepEqual([...reached].sort(), [...mirrorStates].sort());
});
