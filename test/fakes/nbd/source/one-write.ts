import { type SourceFake, sender } from '../source.ts';

/** Writes a part of the disk and says that this was all. */
export const oneWrite: SourceFake = async (address, disk) => {
  const to = await sender(address);
  await to.write(0, disk.subarray(0, 512));
  to.disconnect();
  await to.peer.closed;
};
