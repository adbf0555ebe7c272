import { type SourceFake, sender } from '../source.ts';

/** Sends nothing but DISC, as every client does that only looked (F.1). */
export const onlyDisconnects: SourceFake = async (address) => {
  const to = await sender(address);
  to.disconnect();
  await to.peer.closed;
};
