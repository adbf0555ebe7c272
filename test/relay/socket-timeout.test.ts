/** The time that a peer may leave unacknowledged, on the sockets that the relay accepts. */
import { readdirSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { Peer } from '../helpers/peer.ts';
import { TestRelay } from '../helpers/relay.ts';
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
