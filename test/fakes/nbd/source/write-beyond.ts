import { replyBytes, request, types } from '../bytes.ts';
import { type SourceFake, sender } from '../source.ts';

/** Writes one sector too far, gets the error, and says that this was all. */
export const writeBeyond: SourceFake = async (address, disk) => {
  const to = await sender(address);
  const bytes = Buffer.concat([request(types.write, disk.length - 512, 1024), Buffer.alloc(1024)]);
  const answer = await to.peer.ask(bytes, replyBytes);
  if (answer.readUInt32BE(4) !== 28) throw new Error(`reply ${answer.toString('hex')}`);
  to.disconnect();
  await to.peer.closed;
};
