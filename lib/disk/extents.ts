/** Where an image has holes, as a list of runs. */
import type { AllocationMap, DataRun, ExtentSource } from './allocation-map.ts';

/** A run of bytes that is all data, or all hole. */
export interface Extent {
  lengthBytes: number;
  /** Not allocated, reads as zeroes; false where that is not known. */
  hole: boolean;
}

/** From a map that is built: at most `most` runs, from `start` to `end` or as far as they reach. */
export function mappedExtents(map: AllocationMap, start: number, end: number, most: number): Extent[] {
  const extents: Extent[] = [];
  for (let at = start; at < end && extents.length < most; ) {
    const run = map.run(at, end);
    extents.push({ lengthBytes: run.end - at, hole: run.hole });
    at = run.end;
  }
  return extents;
}

/** The same by asking the file system; all is data where that does not say. */
export async function foundExtents(
  source: ExtentSource,
  start: number,
  end: number,
  most: number,
): Promise<Extent[]> {
  let found: { runs: DataRun[]; next: number };
  try {
    found = await source(start, end, Math.max(1, Math.floor((most - 1) / 2)));
  } catch {
    return [{ lengthBytes: end - start, hole: false }];
  }
  const extents: Extent[] = [];
  let at = start;
  const upTo = (to: number, hole: boolean): void => {
    const last = extents.at(-1);
    if (to > at && last?.hole === hole) last.lengthBytes += to - at;
    else if (to > at) extents.push({ lengthBytes: to - at, hole });
    at = Math.max(at, to);
  };
  for (const run of found.runs) {
    upTo(run.start, true);
    upTo(run.end, false);
  }
  upTo(found.next, true);
  return extents;
}
