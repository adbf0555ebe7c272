import { readMetadataClass } from '../ctf/metadata/index.ts';
import { MillraceError } from '../errors.ts';
import type { Clock } from '../stage/time-range.ts';

const nsPerSecond = 1_000_000_000n;

/**
 * The clock that the packets of a trace show, from as much of its metadata as has come; undefined: none is described
 * there yet, or several.
 */
export function clockOf(metadata: Buffer): Clock | undefined {
  try {
    const [clock, ...others] = readMetadataClass(metadata).clocks.values();
    if (clock === undefined || others.length > 0) return undefined;
    const { frequencyHz, offsetSeconds, offsetCycles } = clock;
    return (cycles) => offsetSeconds * nsPerSecond + ((offsetCycles + cycles) * nsPerSecond) / frequencyHz;
  } catch (error) {
    if (error instanceof MillraceError && error.code.startsWith('MR_ERR_CTF')) return undefined;
    throw error;
  }
}
