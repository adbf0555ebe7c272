import { reply, types } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Answers write number `at` with an error; once. */
export const errorOnWrite = (at: number, error: number): Sin => {
  let writes = 0;
  return {
    reply(peer, { type, cookie }) {
      if (type === types.write) writes += 1;
      peer.write(reply(cookie, type === types.write && writes === at ? error : 0));
    },
  };
};
