import { reply, replyBytes } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Answers its first request with something else than a reply. */
export const replyWrongMagic = (): Sin => {
  let sinned = false;
  return {
    reply(peer, { cookie }) {
      peer.write(sinned ? reply(cookie) : Buffer.alloc(replyBytes, 0x67));
      sinned = true;
    },
  };
};
