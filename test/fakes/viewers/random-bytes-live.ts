import { noise } from '../../helpers/bytes.ts';
import { Peer } from '../../helpers/peer.ts';
import type { FakeViewer } from './fake-viewer.ts';

/** Says nothing that means anything. */
export const randomBytesLive: FakeViewer = async ({ live }) => {
  const peer = await Peer.connect(live);
  peer.write(noise(64 * 1024, 1));
  return peer;
};
