import { request, types } from '../bytes.ts';
import { type SourceFake, sender } from '../source.ts';

/** Resets its connection in the middle of the data of a write. */
export const closeMidWrite: SourceFake = async (address, disk) => {
  const to = await sender(address);
  to.peer.write(Buffer.concat([request(types.write, 0, 65_536), disk.subarray(0, 30_000)]));
  await to.peer.drained();
  to.peer.socket.resetAndDestroy();
};
