/** The files of a frame log: `NAME`, `NAME.1`, `NAME.2`, …; of a bounded log the first ones may be gone. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The file of a log's segment. `segment`: its place, from 0. */
export function segmentPath(path: string, segment: number): string {
  return segment === 0 ? path : `${path}.${segment}`;
}

/** The segments of the log `path` that exist, in order; none where its directory does not. */
export async function findSegments(path: string): Promise<Array<{ segment: number; path: string }>> {
  const name = basename(path);
  const names = await readdir(dirname(path)).catch(() => []);
  return names
    .filter(
      (each) =>
        each === name || (each.startsWith(`${name}.`) && /^[1-9]\d{0,8}$/.test(each.slice(name.length + 1))),
    )
    .map((each) => ({
      segment: each === name ? 0 : Number(each.slice(name.length + 1)),
      path: join(dirname(path), each),
    }))
    .sort((a, b) => a.segment - b.segment);
}
