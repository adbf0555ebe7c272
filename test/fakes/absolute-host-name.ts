import { Peer } from '../helpers/peer.ts';
import { createSession, version } from '../helpers/requests.ts';
import type { Fake } from './fake.ts';

/** Says that its host is called /etc. */
export const absoluteHostName: Fake = async ({ control }) => {
  const peer = await Peer.connect(control);
  await peer.ask(version(15), 8);
  peer.write(createSession(15, { hostname: '/etc', sessionName: 'passwd' }));
  return peer;
};
