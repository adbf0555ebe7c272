import { askIndex, attached, type FakeViewer } from './fake-viewer.ts';

/** Sends half a header and nothing more: lttng-relayd then serves no viewer at all. */
export const halfARequest: FakeViewer = async (prey) => {
  const peer = await attached(prey);
  peer.write(askIndex(prey.stream).subarray(0, 9));
  return peer;
};
