import { noise } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import type { Fake } from './fake.ts';

/** Says nothing that means anything on the control port. */
export const randomBytesControl: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  peer.write(noise(64 * 1024, 1));
  return peer;
};
