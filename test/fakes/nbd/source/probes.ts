import { replyBytes, request, types } from '../bytes.ts';
import { type SourceFake, sender } from '../source.ts';

/** Reads the first bytes and goes, as nbdinfo does (F.1). */
export const probes: SourceFake = async (address) => {
  const to = await sender(address);
  await to.peer.ask(request(types.read, 0, 8192), replyBytes + 8192);
  to.disconnect();
  await to.peer.closed;
};
