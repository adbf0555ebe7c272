import { type SourceFake, sender, writeAll } from '../source.ts';

/** Sends everything, and closes without a word. */
export const vanishBeforeDisconnect: SourceFake = async (address, disk) => {
  const to = await sender(address);
  await writeAll(to, disk);
  await to.peer.end();
};
