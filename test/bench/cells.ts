/** What the relay bench measures: the table of cells. */
import type { Ring } from './messages.ts';

export type Output = 'mem' | 'disk';

export interface Cell {
  packetSizeBytes: number;
  /** Data streams of each session; a metadata stream comes on top. */
  streamCount: number;
  sessionCount: number;
  output: Output;
  /** Limits of the streams' tracefiles; none without it. */
  ring?: Ring;
}

const KiB = 1024;

function cross(sizes: number[], streams: number[], sessions: number[], outputs: Output[]): Cell[] {
  return outputs.flatMap((output) =>
    sizes.flatMap((packetSizeBytes) =>
      sessions.flatMap((sessionCount) =>
        streams.map((streamCount) => ({ packetSizeBytes, streamCount, sessionCount, output })),
      ),
    ),
  );
}

/** Every cell, and the few that `--quick` runs. */
export const allCells: readonly Cell[] = cross(
  [4 * KiB, 64 * KiB, 1024 * KiB],
  [1, 8, 64],
  [1, 8],
  ['mem', 'disk'],
);
export const quickCells: readonly Cell[] = cross([4 * KiB, 64 * KiB, 1024 * KiB], [8], [1], ['mem', 'disk']);

/** `4k/8/1/mem`: packet size, streams a session, sessions, output. */
export function cellName(cell: Cell): string {
  const size =
    cell.packetSizeBytes >= KiB * KiB
      ? `${cell.packetSizeBytes / KiB / KiB}m`
      : `${cell.packetSizeBytes / KiB}k`;
  return `${size}/${cell.streamCount}/${cell.sessionCount}/${cell.output}`;
}

/** Reads names as `cellName` writes them, separated by commas; `*` stands for every value in the table. */
export function parseCells(text: string): Cell[] {
  const wanted = text.split(',').map((name) => name.split('/'));
  const cells = allCells.filter((cell) => {
    const parts = cellName(cell).split('/');
    return wanted.some((want) => want.length === 4 && want.every((w, i) => w === '*' || w === parts[i]));
  });
  if (cells.length === 0) {
    throw new Error(`--cells ${text} names no cell; for example 4k/8/1/mem or '*/8/1/disk'`);
  }
  return cells;
}

/** Packets that each stream gets so that a run carries about `runBytes`. */
export function packetsPerStream(cell: Cell, runBytes: number): number {
  const streams = cell.streamCount * cell.sessionCount;
  return Math.max(1, Math.round(runBytes / cell.packetSizeBytes / streams));
}
