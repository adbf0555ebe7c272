import { Peer } from '../helpers/peer.ts';
import { createSession, version } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Ends its connection in the middle of a payload. */
export const truncatedPayload: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  await peer.ask(version(15), 8);
  peer.socket.end(createSession(15).subarray(0, 50));
  return peer;
};
