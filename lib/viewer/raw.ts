/** Frames as NDJSON: one line a frame, so that a person or a script can watch a session breathe. */
import type { Frame } from '../stage/frames.ts';

/**
 * The line of a frame, without its end: `kind`, then the frame's own fields in their order. Of `data` and `metadata`,
 * `sizeBytes` stands for the bytes. Whole numbers that a double does not hold are strings; what is not known is left
 * out; of a `lost` packet, `index` is what was announced of it.
 */
export function rawLine(frame: Frame): string {
  if (!('start' in frame)) return JSON.stringify(frame, plain);
  const { start, end, ...rest } = frame;
  return JSON.stringify({ ...rest, sizeBytes: end - start }, plain);
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : String(value);
}
