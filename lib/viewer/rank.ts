/** The place of each stream among others where times are equal. Source: ctf, "Merge order". */
import type { DataStream } from './data-streams.ts';
import { compareBytes } from './trace.ts';

export interface RankedStream {
  stream: DataStream;
  /** By trace and stream: equal where nothing tells two apart. */
  rank: number;
  /** By path: what decides when messages are alike as well. */
  pathRank: number;
}

export function rankStreams(streams: readonly DataStream[]): RankedStream[] {
  const byPath = [...streams].sort((a, b) => compareBytes(a.path, b.path));
  const sorted = [...streams].sort(compareStreams);
  let rank = 0;
  return sorted.map((stream, i) => {
    const before = sorted[i - 1];
    if (before !== undefined && compareStreams(before, stream) !== 0) rank = i;
    return { stream, rank, pathRank: byPath.indexOf(stream) };
  });
}

function compareStreams(a: DataStream, b: DataStream): number {
  return (
    compareUuids(a.trace.class.uuid, b.trace.class.uuid) ||
    compareNames(a.trace.name, b.trace.name) ||
    compareNumbers(a.layout.stream.id, b.layout.stream.id) ||
    compareNumbers(a.id, b.id)
  );
}

function compareUuids(a: Buffer | undefined, b: Buffer | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return Buffer.compare(a, b);
}

function compareNames(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compareBytes(a, b);
}

function compareNumbers(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
