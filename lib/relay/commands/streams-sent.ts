import { relayRet } from '../../errors.ts';
import type { Handler } from './handler.ts';

/** Every stream added so far may be shown to viewers. Data and indexes are accepted before it. */
export const streamsSent: Handler<'streamsSent'> = {
  handle({ relay, session }) {
    relay.store.accept({ kind: 'published', session: session.id });
    session.live?.publish();
    return { ret: relayRet.ok };
  },
};
