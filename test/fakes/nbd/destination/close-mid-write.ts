import { types } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Closes in the middle of the data of write number `at`; once. */
export const closeMidWrite = (at: number): Sin => {
  let writes = 0;
  return {
    async request(peer, { type, length }) {
      if (type !== types.write) return false;
      writes += 1;
      if (writes !== at) return false;
      await peer.read(Math.floor(length / 2));
      peer.socket.resetAndDestroy();
      return true;
    },
  };
};
