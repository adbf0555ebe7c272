/** The counts of `--stats`, for people and for programs. */
import type { ViewStats } from '../../lib/index.ts';
import { toJson } from '../verify/format.ts';
import type { ViewSettings } from './settings.ts';

const bars = '▁▂▃▄▅▆▇█';

export function statsText(stats: ViewStats, { json }: Pick<ViewSettings, 'json'>): string {
  return json ? toJson(stats) : formatStats(stats);
}

/** Tables: events by class with a line of bars over time, then streams. */
function formatStats({ seconds, events, streams }: ViewStats): string {
  const total = events.reduce((sum, each) => sum + each.events, 0);
  const rate = (count: number) =>
    seconds === undefined || seconds === 0 ? '' : (count / seconds).toFixed(1);
  const eventRows = events.map((each) => [
    each.name,
    String(each.events),
    `${((each.events / Math.max(total, 1)) * 100).toFixed(1)} %`,
    rate(each.events),
    sparkline(each.histogram),
    each.trace,
  ]);
  const streamRows = streams.map((each) => [
    each.path,
    String(each.events),
    String(each.packets),
    String(each.bytes),
    `${(each.fill * 100).toFixed(1)} %`,
    String(each.eventsDiscarded),
    String(each.packetsLost),
  ]);
  const time = seconds === undefined ? '' : ` in ${seconds.toFixed(3)} s, ${rate(total)} a second`;
  return [
    table(['event', 'count', 'share', 'a second', 'over time', 'trace'], eventRows, [1, 2, 3]),
    table(
      ['stream', 'events', 'packets', 'bytes', 'filled', 'discarded', 'lost packets'],
      streamRows,
      [1, 2, 3, 4, 5, 6],
    ),
    `${total} events${time}\n`,
  ].join('\n');
}

function sparkline(counts: readonly number[]): string {
  const most = Math.max(...counts, 1);
  return counts
    .map((count) => (count === 0 ? ' ' : bars[Math.min(7, Math.floor((count / most) * 7.999))]))
    .join('');
}

function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string {
  const all = [heads, ...rows];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => Array.from(row[i] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => {
          const pad = ' '.repeat((widths[i] as number) - Array.from(cell).length);
          return right.includes(i) ? pad + cell : cell + pad;
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
