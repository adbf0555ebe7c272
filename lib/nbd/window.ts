/** A part of a disk, as a disk. */
import type { Disk } from './disk.ts';

/** The part of `disk` from `offset` on; it must lie within (`checkPart`). */
export function windowOf(disk: Disk, { offset: base, length }: { offset: number; length: number }): Disk {
  return {
    sizeBytes: length,
    read: (bytes, start, count, offset) => disk.read(bytes, start, count, base + offset),
    write: (bytes, start, count, offset) => disk.write(bytes, start, count, base + offset),
    zero: (offset, count) => disk.zero(base + offset, count),
    flush: () => disk.flush(),
    extents: (offset, count, most) => disk.extents(base + offset, count, most),
  };
}
