import { pieces } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { createSession, version } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Says who it is one byte at a time, and does not come to the end. */
export const oneByteASecond: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  const words = Buffer.concat([version(15), createSession(15)]);
  for (const byte of pieces(words.subarray(0, -1), 1)) {
    peer.write(byte);
    await new Promise(setImmediate);
  }
  return peer;
};
