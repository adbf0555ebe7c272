import test from 'ava';
import fc from 'fast-check';
import { Gate } from '../../../lib/disk/gate.ts';
import { Throttle } from '../../../lib/nbd/migration/throttle.ts';

const turn = (): Promise<void> => new Promise(setImmediate);

/** A client that writes as it may, `wants(n)` asks for n writes more, of 100 bytes each. */
function writer() {
  const gate = new Gate();
  const throttle = new Throttle(gate);
  let last = Promise.resolve();
  const self = {
    throttle,
    writes: 0,
    wants(count: number): Promise<void> {
      for (let n = 0; n < count; n += 1) last = last.then(write);
      return last;
    },
    get isHeld(): boolean {
      return !gate.isOpen;
    },
  };
  const write = async (): Promise<void> => {
    await gate.passed();
    self.writes += 1;
    throttle.changed(100);
  };
  return self;
}

test('nobody is held back at first, and nobody after the release', async (t) => {
  const client = writer();
  await client.wants(1);
  client.throttle.tighten();
  const waiting = client.wants(2);
  await turn();
  t.is(client.writes, 1);
  client.throttle.release();
  await waiting;
  t.is(client.writes, 3);
  t.false(client.isHeld);
});

test('for each byte sent half a byte may be changed, then a quarter; what was too much is owed', async (t) => {
  const client = writer();
  const { throttle } = client;
  const writesAfter = async (sentBytes: number): Promise<number> => {
    throttle.sent(sentBytes);
    for (let n = 0; n < 3; n += 1) await turn();
    return client.writes;
  };
  throttle.tighten();
  const all = client.wants(5);
  t.is(await writesAfter(0), 0);
  // 5 are allowed, the first write owes the 95 that it has more
  t.is(await writesAfter(10), 1);
  t.is(await writesAfter(2 * 95), 1);
  t.is(await writesAfter(2 * 1), 2);
  throttle.tighten();
  t.is(await writesAfter(4 * 99), 2);
  t.is(await writesAfter(4 * 101), 4);
  throttle.release();
  await all;
  t.false(client.isHeld);
});

test('the share does not fall below what was asked for, and goes on from there', async (t) => {
  const client = writer();
  const { throttle } = client;
  for (let times = 0; times < 2000; times += 1) throttle.tighten(1 / 4);
  const all = client.wants(3);
  throttle.sent(4);
  for (let n = 0; n < 3; n += 1) await turn();
  t.is(client.writes, 1);
  throttle.tighten();
  // 99 are owed: an eighth of 792
  throttle.sent(792);
  await turn();
  t.is(client.writes, 1);
  throttle.sent(8);
  for (let n = 0; n < 3; n += 1) await turn();
  t.is(client.writes, 2);
  throttle.release();
  await all;
});

test('whatever the order, no more is changed than the share and one write; nothing is held at the end', async (t) => {
  const steps = fc.array(fc.oneof(fc.record({ sent: fc.nat(300) }), fc.record({ wants: fc.nat(3) })), {
    maxLength: 40,
  });
  await t.notThrowsAsync(() =>
    fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const client = writer();
        client.throttle.tighten();
        let sent = 0;
        for (const step of list) {
          if ('sent' in step) {
            sent += step.sent;
            client.throttle.sent(step.sent);
          } else void client.wants(step.wants);
          await turn();
          if (client.writes * 100 > sent / 2 + 100) return false;
        }
        client.throttle.release();
        await client.wants(1);
        return !client.isHeld;
      }),
      { numRuns: 200 },
    ),
  );
});
