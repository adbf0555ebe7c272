/** What every misbehaving peer is: a function that commits one sin. */
import type { Peer } from '../helpers/peer.ts';
import { type Ports, Producer } from '../helpers/producer.ts';

/** Takes what is to be done when the peer goes. */
export interface Teardown {
  teardown(leave: () => unknown): void;
}

/** Commits its sin against the relay at `ports`, and returns the connection that it used. */
export type Fake = (ports: Ports, t: Teardown) => Promise<Peer>;

/** A session of its own that begins well. */
export function intruder(ports: Ports, t: Teardown): Promise<Producer> {
  return Producer.open(t, ports, { sessionName: 'intruder', idSessiond: 666n });
}
