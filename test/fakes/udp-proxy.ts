/**
 * A bad link for datagrams: between whoever sends to it and one place it loses, repeats and reorders them, the same way
 * for the same seed.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { random } from '../helpers/bytes.ts';
import type { Teardown } from './fake.ts';

export interface UdpProxyOptions {
  /** Where datagrams go. */
  to: { host: string; port: number };
  seed: number;
  /** Parts of all datagrams: lost, sent twice, sent behind some of those that come later. */
  loss?: number;
  duplication?: number;
  reordering?: number;
}

/** What the link did. */
export interface UdpProxy {
  address: { host: string; port: number };
  counts: { passed: number; lost: number; repeated: number; held: number };
}

/** A datagram that was held back goes behind so many others, at the most. */
const mostBehind = 20;
/** Whatever is held back goes when nothing has come for so long, milliseconds. */
const idleMs = 20;

/** Starts the link; it ends with the test. */
export async function udpProxy(t: Teardown, options: UdpProxyOptions): Promise<UdpProxy> {
  const { to, seed, loss = 0, duplication = 0, reordering = 0 } = options;
  const next = random(seed);
  const chance = (part: number): boolean => next() / 2 ** 32 < part;
  const counts = { passed: 0, lost: 0, repeated: 0, held: 0 };
  let held: { bytes: Buffer; behind: number }[] = [];
  const out = createSocket('udp4');
  const pass = (bytes: Buffer): void => {
    counts.passed += 1;
    out.send(bytes, to.port, to.host);
  };
  const release = (all: boolean): void => {
    for (const { bytes } of held.filter(({ behind }) => all || behind <= 1)) pass(bytes);
    held = held
      .filter(({ behind }) => !all && behind > 1)
      .map(({ bytes, behind }) => ({ bytes, behind: behind - 1 }));
  };
  let idle: NodeJS.Timeout | undefined;
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 }).on('message', (bytes) => {
    clearTimeout(idle);
    idle = setTimeout(() => release(true), idleMs);
    if (chance(loss)) counts.lost += 1;
    else if (chance(reordering)) {
      counts.held += 1;
      held.push({ bytes, behind: 1 + (next() % mostBehind) });
    } else pass(bytes);
    if (chance(duplication)) {
      counts.repeated += 1;
      pass(bytes);
    }
    release(false);
  });
  t.teardown(() => {
    clearTimeout(idle);
    socket.close();
    out.close();
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: { host: '127.0.0.1', port: socket.address().port }, counts };
}
