import { hello } from '../bytes.ts';
import type { Sin } from '../destination.ts';

/** Says hello and closes; the first `times` connections only. */
export const closeAfterHello = (sizeBytes: number, times: number): Sin => ({
  connect(socket, connection) {
    if (connection > times) return false;
    socket.end(hello(sizeBytes));
    return true;
  },
});
