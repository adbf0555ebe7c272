import { u32 } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { codes, request } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/**
 * Forty connections, each of which sends exactly as much as the relay reads at a time, so that more seems to be on
 * its way, and then nothing; returns the last one.
 */
export const fillsItsReads: Fake = async ({ control }, t) => {
  const readBytes = 65_536;
  const payload = Buffer.concat([u32(2), u32(15), Buffer.alloc(readBytes - 24 - 8)]);
  let last: Peer | undefined;
  for (let n = 0; n < 40; n += 1) {
    const peer = await Peer.connect(control);
    t.teardown(() => peer.destroy());
    await peer.ask(request(codes.version, payload), 8);
    last = peer;
  }
  return last as Peer;
};
