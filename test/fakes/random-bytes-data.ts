import { noise } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import type { Fake } from './fake.ts';

/** Says nothing that means anything on the data port. */
export const randomBytesData: Fake = async ({ data }) => {
  const peer = await Peer.connect(data);
  peer.write(noise(64 * 1024, 2));
  return peer;
};
