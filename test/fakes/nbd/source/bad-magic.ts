import { replyBytes, request, types } from '../bytes.ts';
import { type SourceFake, sender, writeAll } from '../source.ts';

/** Sends everything, and then a request with a wrong magic (F.1). */
export const badMagic: SourceFake = async (address, disk) => {
  const to = await sender(address);
  await writeAll(to, disk);
  const answer = await to.peer.ask(request(types.disconnect, 0, 0, 0x25609514), replyBytes);
  if (answer.readUInt32BE(4) !== 74) throw new Error(`reply ${answer.toString('hex')}`);
  await to.peer.closed;
};
