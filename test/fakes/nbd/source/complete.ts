import { type SourceFake, sender, writeAll } from '../source.ts';

/** Does everything right. */
export const complete: SourceFake = async (address, disk) => {
  const to = await sender(address);
  await writeAll(to, disk);
  to.disconnect();
  await to.peer.closed;
};
