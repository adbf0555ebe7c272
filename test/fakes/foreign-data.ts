import { pattern } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { dataFrame } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Brings a packet for stream 1, which belongs to whoever came first. */
export const foreignData: Fake = async ({ data }) => {
  const peer = await Peer.connect(data);
  peer.write(dataFrame(1n, 1_000_000n, pattern(5000)));
  return peer;
};
