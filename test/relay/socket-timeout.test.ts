/** The time that a peer may leave unacknowledged, on the sockets that the relay accepts. */
import { readdirSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { Peer } from '../helpers/peer.ts';
import { TestRelay, until } from '../helpers/relay.ts';
import * as r from '../helpers/requests.ts';
import { test } from '../helpers/serial.ts';

const getsockopt = koffi
  .load(null)
  .func('int getsockopt(int fd, int level, int option, void *value, void *length)');

/** TCP_USER_TIMEOUT of each socket of this process that has one, milliseconds. */
function timeouts(): number[] {
  const value = new Int32Array(1);
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      if (!readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) return [];
    } catch {
      return [];
    }
    const isTold = getsockopt(Number(fd), 6, 18, value, new Int32Array([4])) === 0;
    return isTold && value[0] !== 0 ? [value[0] as number] : [];
  });
}

test('the socket timeout is on both connections of a producer, and on none without one', async (t) => {
  const relay = await TestRelay.start(t, { socketTimeoutMs: 12_345 });
  const [control, data] = [await Peer.connect(relay.control), await Peer.connect(relay.data)];
  await control.ask(r.version(15), 8);
  t.deepEqual(timeouts(), [12_345, 12_345]);
  for (const peer of [control, data]) await peer.destroy();
  await relay.empty();
  const other = await TestRelay.start(t);
  const peer = await Peer.connect(other.control);
  await peer.ask(r.version(15), 8);
  t.deepEqual(timeouts(), []);
  await peer.destroy();
  await other.empty();
});

const sorted = (times: readonly number[]) => [...times].sort((a, b) => a - b);

test('what is sent to a host that has vanished stays unacknowledged no longer than keep-alive takes', async (t) => {
  const keepAlive = { enabled: true, idleTimeS: 20, probeIntervalS: 3, maxProbeCount: 2 };
  for (const [options, producer, viewer] of [
    [{}, [], 120_000],
    [{ keepAlive }, [26_000, 26_000], 26_000],
    [{ keepAlive: { ...keepAlive, maxProbeCount: -1 } }, [], 20_000 + 6 * 3000],
    [{ keepAlive, socketTimeoutMs: 12_345 }, [12_345, 12_345], 26_000],
  ] as const) {
    const relay = await TestRelay.start(t, options);
    const addresses = [relay.control, relay.data, relay.relay.addresses.live];
    const peers = [];
    for (const address of addresses) peers.push(await Peer.connect(address));
    await until(
      () => timeouts().length === producer.length + 1,
      () => `timeouts ${timeouts().join(', ')}`,
    );
    t.deepEqual(sorted(timeouts()), sorted([...producer, viewer]));
    for (const peer of peers) await peer.destroy();
    await relay.empty();
  }
});
