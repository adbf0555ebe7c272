/** What a copy needs of a disk: an image in a file and an export of a server look the same to it. */
import type { Extent } from '../disk/extents.ts';

/**
 * Ranges must lie within `sizeBytes`. Memory is borrowed until the promise settles; undefined in place of a promise:
 * it is done.
 */
export interface Disk {
  readonly sizeBytes: number;
  read(bytes: Buffer, start: number, length: number, offset: number): Promise<void>;
  write(bytes: Buffer, start: number, length: number, offset: number): Promise<void> | undefined;
  /** Makes a range read as zeroes, a hole where it can. */
  zero(offset: number, length: number): Promise<void>;
  flush(): Promise<void>;
  /** As `Image.extents`; `hole` stands for "reads as zeroes". */
  extents(offset: number, length: number, most: number): Promise<Extent[]>;
}
