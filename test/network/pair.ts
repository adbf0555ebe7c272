/** Two ends of a TCP connection for the network tests. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { listen } from '../../lib/network/listen.ts';

/** `accepted` is paused and unread, `far` is the peer that the test plays. */
export async function pair(t: ExecutionContext): Promise<{ accepted: Socket; far: Socket }> {
  const arrived: Socket[] = [];
  let arrive: () => void = () => undefined;
  const arrival = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const listener = await listen({ host: '127.0.0.1', port: 0 }, (socket) => {
    arrived.push(socket);
    arrive();
  });
  const far = connect(listener.address.port, '127.0.0.1');
  far.on('error', () => undefined);
  await Promise.all([once(far, 'connect'), arrival]);
  listener.stop();
  const accepted = arrived[0] as Socket;
  t.teardown(() => {
    far.destroy();
    accepted.destroy();
  });
  return { accepted, far };
}

/** Resolves when `condition` holds, asked once a turn of the event loop; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** Lets the event loop turn often enough for anything that is ready to happen. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}
