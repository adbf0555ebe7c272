import test, { type ExecutionContext } from 'ava';
import { Space } from '../../lib/disk/space.ts';
import { type Told, toldChannel } from '../../lib/telemetry.ts';

/** A disk with a kibibyte in reserve. */
function disk(t: ExecutionContext, freeBytes: number, reserveBytes = 1024) {
  const state = { freeBytes, nowMs: 1000, inFlightBytes: 0, looks: 0, told: [] as string[] };
  const path = `/disk of ${t.title}`;
  const listener = (message: unknown) => {
    const { event, facts } = message as Told;
    if (facts.path === path) state.told.push(event);
  };
  toldChannel.subscribe(listener);
  t.teardown(() => toldChannel.unsubscribe(listener));
  const space = new Space({
    path,
    reserveBytes,
    inFlight: () => state.inFlightBytes,
    free: () => {
      state.looks += 1;
      return state.freeBytes;
    },
    clock: () => state.nowMs,
  });
  return { state, space };
}

test('what would leave less than the reserve may not be written', (t) => {
  const { space } = disk(t, 2048);
  t.false(space.take(1025));
  t.true(space.take(1024));
});

test('what was let through and is not written yet counts as written', (t) => {
  const { space, state } = disk(t, 2048);
  state.inFlightBytes = 1;
  t.false(space.take(1024));
  t.true(space.take(1023));
});

test('half of what is free may go by before the file system is asked again, or one second', (t) => {
  const { space, state } = disk(t, 1024 + 100_100);
  t.true(space.take(100));
  for (let n = 0; n < 500; n += 1) t.true(space.take(100));
  t.is(state.looks, 1);
  t.true(space.take(100));
  t.is(state.looks, 2);
  state.nowMs += 1000;
  t.true(space.take(1));
  t.is(state.looks, 3);
});

test('without a reserve the file system is never asked', (t) => {
  const { space, state } = disk(t, 0, 0);
  t.true(space.take(1e12));
  t.is(state.looks, 0);
});

test('who waits goes on when there is room, the small before those that need too much', async (t) => {
  const { space, state } = disk(t, 1024);
  const order: string[] = [];
  t.false(space.take(1000));
  space.wait(1000, () => order.push('large'));
  const small = new Promise<void>((resolve) => {
    space.wait(10, () => {
      order.push('small');
      resolve();
    });
  });
  space.wait(10, () => order.push('withdrawn'))();
  t.is(space.waiting, 2);
  state.freeBytes += 500;
  await small;
  t.deepEqual(order, ['small']);
  t.deepEqual(state.told, ['disk:space-short']);
  await new Promise<void>((resolve) => {
    space.wait(600, resolve);
    state.freeBytes += 1000;
  });
  t.deepEqual(order, ['small', 'large']);
  t.is(space.waiting, 0);
  t.deepEqual(state.told, ['disk:space-short'], 'told once, however many wait');
});
