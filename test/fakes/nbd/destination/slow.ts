import { reply } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Waits before every reply. */
export const slow = (delayMs: number): Sin => ({
  async reply(peer, { cookie }) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    peer.write(reply(cookie));
  },
});
