import { Peer } from '../../helpers/peer.ts';
import type { FakeViewer } from './fake-viewer.ts';

/** Three hundred connections that never say what they want; returns the last one. */
export const silentViewers: FakeViewer = async ({ live }, t) => {
  const peers: Peer[] = [];
  for (let n = 0; n < 300; n += 1) peers.push(await Peer.connect(live));
  t.teardown(() => Promise.all(peers.map((peer) => peer.destroy())));
  return peers.at(-1) as Peer;
};
