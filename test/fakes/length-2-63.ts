import { join, none, pattern } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { codes, request, version } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Announces a payload of 2^63 bytes and begins to send it. */
export const length2To63: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  await peer.ask(version(15), 8);
  peer.write(join(request(codes.createSession, pattern(1000), (none >> 1n) + 1n)));
  return peer;
};
