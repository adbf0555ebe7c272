/** Figures of a process from /proc, and the arithmetic of samples. */
import { readFileSync } from 'node:fs';

/** Ticks a second of /proc's times: USER_HZ, which Linux keeps at 100 whatever the kernel's own rate. */
const ticksPerSecond = 100;

/** CPU seconds of all threads of process `pid`, living and ended, in user and kernel mode. Source: proc(5), stat. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name may hold blanks and brackets; fields count from its last bracket: state is the first.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Largest resident memory of process `pid` so far, in bytes. Source: proc(5), status, VmHWM. */
export function peakMemoryBytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`/proc/${pid}/status has no VmHWM`);
  return Number(line[1]) * 1024;
}

/** The value below which `share` (0 to 1) of `samples` lies. Sorts a copy. */
export function quantile(samples: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(samples).sort();
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (value === undefined) throw new Error('no samples');
  return value;
}

export function median(samples: ArrayLike<number>): number {
  return quantile(samples, 0.5);
}

/** Monotonic clock, seconds. */
export function now(): number {
  return performance.now() / 1000;
}
