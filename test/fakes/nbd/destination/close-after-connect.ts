import type { Sin } from '../destination.ts';

/** Closes before a byte of hello, as a listener does that has a sender, or whose access list says no. */
export const closeAfterConnect: Sin = {
  connect(socket) {
    socket.end();
    return true;
  },
};
