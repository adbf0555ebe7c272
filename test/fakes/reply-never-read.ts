import { join } from '../helpers/bytes.ts';
import { Peer } from '../helpers/peer.ts';
import { getConfiguration, version } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Asks and asks, and fetches no reply; what it still has to send piles up on its own side. */
export const replyNeverRead: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  await peer.ask(version(15), 8);
  peer.socket.pause();
  const questions = join(...Array.from({ length: 4096 }, () => getConfiguration()));
  for (let n = 0; n < 256; n += 1) peer.write(questions);
  return peer;
};
