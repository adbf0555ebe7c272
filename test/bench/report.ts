/** Medians and ratios of samples, as Markdown. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { median } from './measure.ts';

/** One run's figures by column name. Runs of one round stand at the same place in each relay's list. */
export type Figures = Record<string, number>;

/** Samples of every relay, by its name. */
export type Samples = ReadonlyMap<string, readonly Figures[]>;

/** A column: heading and decimals. */
export type Columns = Readonly<Record<string, { heading: string; decimals: number }>>;

/** A ratio of one column to the same of another relay. */
export interface Ratio {
  column: string;
  to: string;
}

/** Markdown lines of a table with one row a relay; `title` fills the first column's heading. */
export function table(title: string, samples: Samples, columns: Columns, ratios: readonly Ratio[]): string[] {
  const shown = ratios.filter(({ to }) => samples.has(to));
  const headings = [
    title,
    ...Object.values(columns).map(({ heading }) => heading),
    ...shown.map(({ column, to }) => `${columns[column]?.heading} ÷ ${to}`),
  ];
  const rows = [...samples.keys()].map((name) => [
    name,
    ...Object.entries(columns).map(([column, { decimals }]) =>
      medianOf(samples, name, column).toFixed(decimals),
    ),
    ...shown.map(({ column, to }) => pairedRatio(samples, column, name, to).toFixed(2)),
  ]);
  return [headings, headings.map((_, i) => (i === 0 ? '---' : '---:')), ...rows].map(
    (cells) => `| ${cells.join(' | ')} |`,
  );
}

export function medianOf(samples: Samples, name: string, column: string): number {
  return median(values(samples, name, column));
}

/** Median of the ratios within each round: what slows the machine for a while slows both sides of a ratio. */
export function pairedRatio(samples: Samples, column: string, name: string, to: string): number {
  const base = values(samples, to, column);
  return median(values(samples, name, column).map((value, round) => value / (base[round] as number)));
}

function values(samples: Samples, name: string, column: string): number[] {
  return (samples.get(name) ?? []).map((figures) => figures[column] as number);
}

/** What the figures were measured on. */
export function machine(): Record<string, string> {
  return {
    machine: `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    // More than 1 at the start: others share the cores, and only CPU columns and ratios mean something.
    'load before': (loadavg()[0] as number).toFixed(1),
    node: process.version,
    'lttng-relayd': versionOf('lttng-relayd'),
  };
}

function versionOf(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return 'not installed';
  }
}
