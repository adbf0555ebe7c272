/** Keeping holes: which bytes of a write have to reach the file. Source: nbd-migration, C.7. */
import type { AllocationMap, DataRun } from './allocation-map.ts';

/** To compare with, and to write where nothing better is to be had. Nobody writes into it. */
export const zeroes = Buffer.alloc(65_536);

/**
 * The runs of `bytes[start, start + length)`, which go to `offset` of the image, that must be written: all of it,
 * less whole pieces of zeroes that fall on holes. Offsets of the runs are those in the image.
 */
export function runsToWrite(
  map: AllocationMap,
  bytes: Buffer,
  start: number,
  length: number,
  offset: number,
): readonly DataRun[] {
  const end = offset + length;
  if (map.isData(offset, end)) return [{ start: offset, end }];
  const runs: DataRun[] = [];
  for (let at = offset; at < end; ) {
    const run = map.run(at, end);
    const block = (Math.floor(at / map.blockBytes) + 1) * map.blockBytes;
    const next = run.hole ? Math.min(block, run.end) : run.end;
    const from = start + at - offset;
    if (!run.hole || !isZero(bytes, from, from + next - at)) {
      const last = runs.at(-1);
      if (last?.end === at) last.end = next;
      else runs.push({ start: at, end: next });
    }
    at = next;
  }
  return runs;
}

/** Whether `bytes[start, end)` is zeroes only. */
export function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += zeroes.length) {
    const stop = Math.min(at + zeroes.length, end);
    if (bytes[at] !== 0 || bytes.compare(zeroes, 0, stop - at, at, stop) !== 0) return false;
  }
  return true;
}
