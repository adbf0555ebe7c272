import { reply } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Answers its first request with a cookie that it was not sent. */
export const replyWrongCookie = (): Sin => {
  let sinned = false;
  return {
    reply(peer, { cookie }) {
      peer.write(reply(sinned ? cookie : Buffer.alloc(8, 0xff)));
      sinned = true;
    },
  };
};
