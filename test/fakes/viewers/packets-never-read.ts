import { askIndex, askPacket, attached, type FakeViewer } from './fake-viewer.ts';

/** Asks for the same packet ten thousand times, and takes none. */
export const packetsNeverRead: FakeViewer = async (prey) => {
  const peer = await attached(prey);
  const index = await peer.ask(askIndex(prey.stream), 64);
  peer.socket.pause();
  const question = askPacket(prey.stream, Number(index.readBigUInt64BE(8) / 8n));
  for (let n = 0; n < 10; n += 1) peer.write(Buffer.concat(Array.from({ length: 1000 }, () => question)));
  return peer;
};
