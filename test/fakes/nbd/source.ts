/** The source of a migration as flexnbd 0.5.0 is one, in steps: each fake leaves one out, or does it wrong. */
import { Peer } from '../../helpers/peer.ts';
import { helloBytes, reply, replyBytes, request, types } from './bytes.ts';

export interface Address {
  host: string;
  port: number;
}

/** A sender that has read the hello. */
export interface Sender {
  peer: Peer;
  sizeBytes: number;
  /** Sends one write and waits for its reply; throws when that is not what flexnbd would have got. */
  write(offset: number, bytes: Buffer): Promise<void>;
  disconnect(): void;
}

/** Commits its sin against the listener; resolves when it is done. */
export type SourceFake = (address: Address, disk: Buffer) => Promise<void>;

export async function sender(address: Address): Promise<Sender> {
  const peer = await Peer.connect(address);
  const hello = await peer.read(helloBytes);
  return {
    peer,
    sizeBytes: Number(hello.readBigUInt64BE(16)),
    async write(offset, bytes) {
      const header = request(types.write, offset, bytes.length);
      peer.write(Buffer.concat([header, bytes]));
      const answer = await peer.read(replyBytes);
      const good = reply(header.subarray(8, 16));
      if (!answer.equals(good)) throw new Error(`reply ${answer.toString('hex')}`);
    },
    disconnect: () => peer.write(request(types.disconnect, 0, 0)),
  };
}

/** The whole disk in writes of `pieceBytes`. */
export async function writeAll(to: Sender, disk: Buffer, pieceBytes = 65_536): Promise<void> {
  for (let at = 0; at < disk.length; at += pieceBytes) await to.write(at, disk.subarray(at, at + pieceBytes));
}
