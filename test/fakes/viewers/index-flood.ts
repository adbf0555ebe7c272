import { askIndex, attached, type FakeViewer } from './fake-viewer.ts';

/** Asks a hundred thousand times without waiting for an answer, also where there is nothing to be told. */
export const indexFlood: FakeViewer = async (prey) => {
  const peer = await attached(prey);
  const questions = Buffer.concat(Array.from({ length: 10_000 }, () => askIndex(prey.stream)));
  for (let n = 0; n < 10; n += 1) peer.write(questions);
  return peer;
};
