import { askIndex, askPacket, attached, type FakeViewer } from './fake-viewer.ts';

/** Asks for packets of lengths and at places that there are not; lttng-relayd crashes. */
export const liesAboutLengths: FakeViewer = async (prey) => {
  const peer = await attached(prey);
  await peer.ask(askIndex(prey.stream), 64);
  for (const bytes of [0xffff_ffff, 0xffff_fff4, 0x8000_0000])
    await peer.ask(askPacket(prey.stream, bytes), 12);
  return peer;
};
