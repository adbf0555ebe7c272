import test from 'ava';
import { Health, healthBit, type Vitals } from '../../lib/relay/health.ts';
import { TestRelay } from '../helpers/relay.ts';

const patienceMs = 20_000;

/** A relay's vitals, and its event loop, which beats once a second unless it stands still. */
function patient() {
  const vitals: Vitals = { bytesInFlight: 0, writtenBytes: 0, listening: true, liveListening: true };
  let nowMs = 1000;
  const health = new Health(
    () => ({ ...vitals }),
    patienceMs,
    () => nowMs,
  );
  return {
    vitals,
    health,
    live: (seconds: number, each: () => void = () => {}) => {
      for (let second = 0; second < seconds; second += 1) {
        nowMs += 1000;
        each();
        health.beat();
      }
    },
    standStill: (seconds: number) => {
      nowMs += seconds * 1000;
    },
  };
}

test('a relay with nothing to do is well, for however long', (t) => {
  const { health, live } = patient();
  live(1000);
  t.is(health.bits, 0);
});

test('writes that do not come through for 20 s make the worker unwell, until one does', (t) => {
  const { health, live, vitals } = patient();
  vitals.bytesInFlight = 4096;
  live(1);
  live(20);
  t.is(health.bits, 0);
  live(1);
  t.is(health.bits, healthBit.worker);
  vitals.writtenBytes += 1024;
  live(1);
  t.is(health.bits, 0);
});

test('a slow disk that moves is well', (t) => {
  const { health, live, vitals } = patient();
  vitals.bytesInFlight = 4096;
  live(100, () => {
    vitals.writtenBytes += 1;
  });
  t.is(health.bits, 0);
});

test('a listener that accepts nobody is unwell, each with its own bit', (t) => {
  const { health, vitals } = patient();
  vitals.listening = false;
  t.is(health.bits, healthBit.listener);
  vitals.liveListening = false;
  t.is(health.bits, healthBit.listener | healthBit.liveListener);
});

test('after the event loop stood still for more than 20 s everything is unwell for 20 s', (t) => {
  const { health, live, standStill } = patient();
  standStill(20);
  t.is(health.bits, 0);
  standStill(21);
  t.is(health.bits, 0b11_1111, 'who asked meanwhile is told first');
  live(19);
  t.is(health.bits, 0b11_1111);
  live(1);
  t.is(health.bits, 0);
});

test('the bits are those of the threads of lttng-relayd', (t) => {
  t.deepEqual(Object.entries(healthBit), [
    ['dispatcher', 1],
    ['worker', 2],
    ['listener', 4],
    ['liveDispatcher', 8],
    ['liveWorker', 16],
    ['liveListener', 32],
  ]);
});

test('a relay that runs is well, and one that ends on request too', async (t) => {
  const relay = await TestRelay.start(t);
  t.is(relay.relay.health(), 0);
  const closed = relay.relay.close();
  t.is(relay.relay.health(), 0);
  await closed;
});
