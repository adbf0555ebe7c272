import { askIndex, askPacket, attached, type FakeViewer } from './fake-viewer.ts';

/** Asks for a packet, takes a part of it, and resets the connection. */
export const leavesMidPacket: FakeViewer = async (prey) => {
  const peer = await attached(prey);
  const index = await peer.ask(askIndex(prey.stream), 64);
  peer.write(askPacket(prey.stream, Number(index.readBigUInt64BE(8) / 8n)));
  await peer.read(100);
  peer.socket.resetAndDestroy();
  return peer;
};
