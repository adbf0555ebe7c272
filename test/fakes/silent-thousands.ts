import { Peer } from '../helpers/peer.ts';
import type { Fake } from './fake.ts';

/** Opens two thousand connections, on both ports, and says nothing; returns the last one. */
export const silentThousands: Fake = async ({ control, data }, t) => {
  const peers: Peer[] = [];
  for (let n = 0; n < 2000; n += 1) peers.push(await Peer.connect(n % 2 === 0 ? control : data));
  t.teardown(() => Promise.all(peers.map((peer) => peer.destroy())));
  return peers.at(-1) as Peer;
};
