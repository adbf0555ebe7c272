/** Holes of a disk that is being mirrored. */
import type { DirtyMap, Run } from '../../disk/dirty-map.ts';
import type { MirroredImage } from './source.ts';

/** Longest hole that is sent in one request, bytes: the length of a request has 32 bits. */
const holeBytes = 2 ** 30;

/**
 * The hole that begins with `run`, which was taken from the map, and covers it; undefined where that is no hole. All of it is
 * clean then: it is looked for, taken, and looked for again, because a client may have written in between.
 */
export async function takeHole(image: MirroredImage, dirty: DirtyMap, run: Run): Promise<Run | undefined> {
  const { offset } = run;
  const look = async (): Promise<number> => {
    const most = Math.min(holeBytes, dirty.sizeBytes - offset);
    const [first] = await image.extents(offset, most, 1);
    if (first?.hole !== true) return 0;
    const lengthBytes = Math.min(first.lengthBytes, most);
    const isEnd = offset + lengthBytes === dirty.sizeBytes;
    return isEnd ? lengthBytes : lengthBytes - (lengthBytes % dirty.blockBytes);
  };
  const lengthBytes = await look();
  if (lengthBytes < run.lengthBytes) return undefined;
  dirty.clean(offset, lengthBytes);
  if ((await look()) >= lengthBytes) return { offset, lengthBytes };
  dirty.mark(offset, lengthBytes);
  dirty.clean(offset, run.lengthBytes);
  return undefined;
}
