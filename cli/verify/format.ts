/** What `millrace verify` prints. */
import type { RepairOutcome, RepairStep, StreamReport, VerifyReport } from '../../lib/index.ts';
import { printable } from '../../lib/start.ts';

/** One line of JSON. Whole numbers beyond 2^53 become strings of digits. */
export function toJson(value: object): string {
  const exact = (_: string, each: unknown): unknown => {
    if (typeof each !== 'bigint') return each;
    return each <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(each) : String(each);
  };
  return `${JSON.stringify(value, exact)}\n`;
}

/** Tables of files and streams, the faults, and the verdict. */
export function formatReport(report: VerifyReport): string {
  const { traces, streams, faults, faultsOmitted } = report;
  const parts = traces.map(({ path, format, uuid, growing, files }) => {
    const title = [shown(path), format, uuid, growing ? 'growing' : undefined].filter(
      (each) => each !== undefined,
    );
    const rows = files.map((file) => [
      `  ${shown(file.path.slice(path === '' ? 0 : path.length + 1))}`,
      String(file.packets),
      String(file.sizeBytes),
      file.index,
    ]);
    return `${title.join('  ')}\n${table(['  file', 'packets', 'bytes', 'index'], rows)}`;
  });
  const losing = streams.filter((stream) => stream.eventsDiscarded > 0n || stream.packetsLost > 0n);
  if (losing.length > 0) parts.push(table(['lost by the tracer', 'events', 'packets'], losing.map(lossRow)));
  if (faults.length > 0) {
    const rows = faults.map(({ code, path, offsetBytes, text }) => [
      code,
      `${shown(path)}${offsetBytes === undefined ? '' : ` at ${offsetBytes}`}: ${printable(text)}`,
    ]);
    if (faultsOmitted > 0) rows.push(['', `${faultsOmitted} more`]);
    parts.push(table(['fault', 'where and what'], rows));
  }
  return `${parts.map((part) => `${part}\n`).join('')}${verdict(report)}\n`;
}

/** By its first file: a rotated stream has one in every trace chunk, and JSON has them all. */
function lossRow({ paths, eventsDiscarded, packetsLost }: StreamReport): string[] {
  const [first = '', ...others] = paths;
  const stream =
    others.length === 0 ? shown(first) : `${shown(first)} and ${count(others.length, 'file')} more`;
  return [stream, String(eventsDiscarded), String(packetsLost)];
}

function verdict({ clean, traces, streams, faults, faultsOmitted }: VerifyReport): string {
  const packets = streams.reduce((sum, stream) => sum + stream.packets, 0);
  const checked = `${count(traces.length, 'trace')}, ${count(packets, 'packet')}`;
  return `${clean ? 'clean' : count(faults.length + faultsOmitted, 'fault')}: ${checked}`;
}

/** What a repair will do. */
export function formatPlan(plan: readonly RepairStep[]): string {
  if (plan.length === 0) return 'nothing to repair\n';
  return `${plan.map((step) => `will ${describe(step)}\n`).join('')}`;
}

/** What a repair did. */
export function formatOutcomes(outcomes: readonly RepairOutcome[]): string {
  return outcomes
    .map(({ step, left }) =>
      left === undefined ? `done: ${describe(step)}\n` : `left: ${describe(step)}: ${left}\n`,
    )
    .join('');
}

function describe(step: RepairStep): string {
  const path = shown(step.path);
  switch (step.action) {
    case 'cut':
      return `cut ${path} from ${step.fromBytes} to ${step.toBytes} bytes`;
    case 'remove':
      return `remove ${path}`;
    case 'rebuild-index':
      return `make ${path} anew with ${count(step.packets, 'record')}`;
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Paths come from a disk, names in them from anywhere. */
function shown(path: string): string {
  return path === '' ? '.' : printable(path);
}

/** Columns as wide as they need to be; what is a number stands right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) =>
    rows.reduce((most, row) => Math.max(most, row[i]?.length ?? 0), title.length),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (/^\d+$/.test(cell) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map((cells) => `${line(cells)}\n`).join('');
}
