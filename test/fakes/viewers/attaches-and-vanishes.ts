import type { Peer } from '../../helpers/peer.ts';
import { attached, type FakeViewer } from './fake-viewer.ts';

/** A hundred viewers attach at once, and are gone without a word. */
export const attachesAndVanishes: FakeViewer = async (prey) => {
  const peers: Peer[] = await Promise.all(Array.from({ length: 100 }, () => attached(prey)));
  await Promise.all(peers.map((peer) => peer.destroy()));
  return peers[0] as Peer;
};
