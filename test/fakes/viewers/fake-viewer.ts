/** What every misbehaving viewer is: a function that commits one sin. */

import { u32, u64 } from '../../helpers/bytes.ts';
import type { Address, Peer } from '../../helpers/peer.ts';
import { Peer as Connection } from '../../helpers/peer.ts';
import { connectRequest, viewerCodes, viewerRequest } from '../../helpers/viewer.ts';
import type { Teardown } from '../fake.ts';

/** What there is to sin against: a session with a stream that has packets. */
export interface Prey {
  live: Address;
  session: bigint;
  stream: bigint;
}

/** Commits its sin, and returns the connection that it used. */
export type FakeViewer = (prey: Prey, t: Teardown) => Promise<Peer>;

/** A viewer that begins well: it is attached, from the beginning. */
export async function attached({ live, session }: Prey): Promise<Peer> {
  const peer = await Connection.connect(live);
  await peer.ask(connectRequest(), 20);
  await peer.ask(viewerRequest(viewerCodes.createSession), 4);
  const attach = viewerRequest(viewerCodes.attachSession, Buffer.concat([u64(session), u64(0), u32(1)]));
  const reply = await peer.ask(attach, 8);
  await peer.read(reply.readUInt32BE(4) * 4371);
  return peer;
}

export const askIndex = (stream: bigint): Buffer => viewerRequest(viewerCodes.getNextIndex, u64(stream));

export const askPacket = (stream: bigint, bytes: number): Buffer =>
  viewerRequest(viewerCodes.getPacket, Buffer.concat([u64(stream), u64(0), u32(bytes)]));
