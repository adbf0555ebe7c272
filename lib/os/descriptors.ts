import { readFileSync } from 'node:fs';

/**
 * File descriptors that this process may have open at a time (the soft limit; Node raises it to the hard one at
 * its start). Infinity where it is unlimited or not known. Source: proc(5), /proc/self/limits.
 */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
