/**
 * A disk image: a sparse file or a block device that is served, copied or migrated. Requests that overlap are
 * ordered (`range-table.ts`); zeroes onto a hole keep the hole (`allocation-map.ts`); who wants to know what
 * changes listens (`onWrite`); one lock keeps other programs out.
 *
 * Small requests that need no disk are done at once, on the event loop; as soon as the disk shows itself slow, and
 * for everything else, the thread pool does it, so that nobody else waits.
 */

import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import { readCached } from '../os/cached-read.ts';
import { tell } from '../telemetry.ts';
import { AllocationMap, type ExtentSource } from './allocation-map.ts';
import { type Extent, foundExtents, mappedExtents } from './extents.ts';
import { Gate } from './gate.ts';
import { ImageFile, type ImageFileOptions } from './image-file.ts';
import { Pace } from './pace.ts';
import { type RangeLease, RangeTable, type RangeUse } from './range-table.ts';
import { SharedSync } from './shared-sync.ts';
import { runsToWrite, zeroes } from './sparse-write.ts';

/** How to open an image. */
export interface ImageOptions extends ImageFileOptions {
  /** Bytes behind the last whole sector of so many are not part of it. 512 unless told. Source: nbd-migration, L22. */
  sectorBytes?: number;
  /** In place of asking the file system for extents; for tests. */
  extentSource?: ExtentSource;
}

/** How to zero. */
export interface ZeroOptions {
  /** Keep the space allocated. */
  noHole?: boolean;
  /** Fail with MR_ERR_IMAGE_SLOW_ZERO rather than write zeroes out. */
  fast?: boolean;
}

/** Hears of every change once it is in the file, the failed ones too: bytes of `[offset, offset + length)`. */
export type WriteListener = (offset: number, length: number) => void;

/**
 * See the file's head. Ranges must lie within the image (`sizeBytes`): that is for who knows the protocol to
 * check. Memory is borrowed until the call returns or its promise settles. Errors: MR_ERR_DISK_READ,
 * MR_ERR_IMAGE_SHORT (it shrank under us), MR_ERR_DISK_WRITE, MR_ERR_DISK_FULL.
 */
export class Image {
  readonly #file: ImageFile;
  readonly #ranges = new RangeTable();
  /** In front of the table: a writer that is held up there must not hold up the readers behind it. */
  readonly #writers = new Gate();
  readonly #pace = new Pace();
  readonly #sync: SharedSync;
  readonly #listeners = new Set<WriteListener>();
  readonly #stop = new AbortController();
  readonly #source: ExtentSource;
  readonly #sectorBytes: number;
  #map: AllocationMap;
  #building: Promise<void>;
  /** Whether the file system knows which bytes are in memory. */
  #knowsCached = true;

  /** Opens the image; its map is built from the next turn of the event loop on. Errors as `ImageFile`. */
  constructor(path: string, options: ImageOptions = {}) {
    this.#file = new ImageFile(path, options);
    this.#sectorBytes = options.sectorBytes ?? 512;
    this.#source = options.extentSource ?? ((from, to, most) => this.#file.findData(from, to, most));
    this.#sync = new SharedSync(() => this.#file.sync());
    this.#map = new AllocationMap(this.#measure());
    this.#building = this.#map.build(this.#source, this.#stop.signal);
    const tail = this.#file.measure() - this.sizeBytes;
    if (tail > 0) {
      const words = `${path}: the last ${tail} bytes are no whole sector and are left out`;
      tell('warn', 'disk:image-tail', words, { path, tail });
    }
  }

  get path(): string {
    return this.#file.path;
  }

  get readOnly(): boolean {
    return this.#file.readOnly;
  }

  get sizeBytes(): number {
    return this.#map.sizeBytes;
  }

  /** What is known of its holes. */
  get allocationMap(): AllocationMap {
    return this.#map;
  }

  /** Resolves when the map is built, or given up. */
  get mapped(): Promise<void> {
    return this.#building;
  }

  /** Bytes in whole sectors now. */
  #measure(): number {
    const bytes = this.#file.measure();
    return bytes - (bytes % this.#sectorBytes);
  }

  /**
   * Reads at once if that needs no disk, nobody is writing there, and it is at most `limits.nbdPieceBytes`: false
   * where not, then `read` does it.
   */
  readNow(bytes: Buffer, start: number, length: number, offset: number): boolean {
    if (length > limits.nbdPieceBytes || !this.#ranges.isFree(offset, offset + length, 'shared'))
      return false;
    if (this.#knowsCached) {
      const cached = readCached(this.#file.fd, bytes, start, length, offset);
      if (cached !== undefined) return cached === length;
      this.#knowsCached = false;
    }
    if (!this.#pace.quick) return false;
    const startedMs = this.#pace.now();
    this.#file.readNow(bytes, start, length, offset);
    this.#pace.took(startedMs);
    return true;
  }

  /** Reads `length` bytes at `offset` into `bytes[start…)`. */
  async read(bytes: Buffer, start: number, length: number, offset: number): Promise<void> {
    await this.#holding(offset, length, 'shared', () => this.#file.read(bytes, start, length, offset));
  }

  /** Has the system read a range into memory, where it can; nobody waits for that. */
  readAhead(offset: number, length: number): void {
    this.#file.calls?.readAhead(this.#file.fd, offset, length);
  }

  /**
   * Writes `bytes[start, start + length)` at `offset`. Undefined: it is done; a promise: it goes on. Throws, or
   * rejects.
   */
  write(bytes: Buffer, start: number, length: number, offset: number): Promise<void> | undefined {
    const atOnce = length <= limits.nbdPieceBytes && this.#pace.quick && this.#writers.isOpen;
    if (!atOnce || !this.#ranges.isFree(offset, offset + length, 'exclusive'))
      return this.#writeLater(bytes, start, length, offset);
    const startedMs = this.#pace.now();
    try {
      for (const run of runsToWrite(this.#map, bytes, start, length, offset)) {
        this.#map.mark(run.start, run.end);
        this.#file.writeNow(bytes, start + run.start - offset, run.end - run.start, run.start);
      }
    } finally {
      this.#pace.took(startedMs);
      this.#changed(offset, length);
    }
    return undefined;
  }

  async #writeLater(bytes: Buffer, start: number, length: number, offset: number): Promise<void> {
    let startedMs = 0;
    await this.#changing(offset, length, async () => {
      startedMs = this.#pace.now();
      for (const run of runsToWrite(this.#map, bytes, start, length, offset)) {
        this.#map.mark(run.start, run.end);
        await this.#file.write(bytes, start + run.start - offset, run.end - run.start, run.start);
      }
    });
    this.#pace.took(startedMs);
  }

  /** Zeroes `[offset, offset + length)`. Errors also: MR_ERR_IMAGE_SLOW_ZERO. */
  async zero(
    offset: number,
    length: number,
    { noHole = false, fast = false }: ZeroOptions = {},
  ): Promise<void> {
    const end = offset + length;
    await this.#changing(offset, length, async () => {
      if (!noHole && this.#isHole(offset, end)) return;
      if (noHole) this.#map.mark(offset, end);
      if (await this.#allocate(noHole ? 'zero' : 'punch', offset, length)) return;
      if (fast) throw new MillraceError('MR_ERR_IMAGE_SLOW_ZERO', { path: this.path });
      this.#map.mark(offset, end);
      for (let at = offset; at < end; at += zeroes.length)
        await this.#file.write(zeroes, 0, Math.min(zeroes.length, end - at), at);
    });
  }

  /** Gives the space of a range back, where the system can; its contents are zeroes or what they were. */
  async trim(offset: number, length: number): Promise<void> {
    await this.#changing(offset, length, async () => {
      if (!this.#isHole(offset, offset + length)) await this.#allocate('punch', offset, length);
    });
  }

  #isHole(start: number, end: number): boolean {
    const run = this.#map.run(start, end);
    return run.hole && run.end === end;
  }

  /** False where this file system cannot. */
  async #allocate(how: 'punch' | 'zero', offset: number, length: number): Promise<boolean> {
    const { calls, fd } = this.#file;
    if (calls === undefined) return false;
    try {
      await calls[how](fd, offset, length);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'ENODEV') return false;
      throw this.#file.writeError(cause);
    }
    if (how === 'punch') this.#map.unmark(offset, offset + length);
    return true;
  }

  /** Makes everything durable that was written before the call. A failure is remembered: all later ones fail too. */
  flush(): Promise<void> {
    return this.#sync.request();
  }

  /**
   * What is allocated from `offset` on: at most `most` extents, neighbours differ, together `length` bytes or fewer,
   * but some. Where nothing is known it is data.
   */
  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    if (this.#map.state === 'built') return mappedExtents(this.#map, offset, offset + length, most);
    return await foundExtents(this.#source, offset, offset + length, most);
  }

  /** Resolves when every request has ended that was begun before. */
  async settle(): Promise<void> {
    if (!this.#writers.isOpen) await this.#writers.passed();
    const lease = await this.#ranges.take(0, Number.MAX_SAFE_INTEGER, 'exclusive');
    lease.release();
  }

  /** Calls `listener` for every change; returns what ends that. */
  onWrite(listener: WriteListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Keeps writers waiting that come from now on, readers not; returns what ends that. */
  hold(): () => void {
    return this.#writers.hold();
  }

  /** Looks whether the file has grown, and takes the new size; it never shrinks. True: it has grown. */
  grow(): boolean {
    const sizeBytes = this.#measure();
    const old = this.#map;
    if (sizeBytes <= old.sizeBytes) return false;
    this.#map = new AllocationMap(sizeBytes);
    this.#map.adopt(old);
    this.#building = this.#map.build(this.#source, this.#stop.signal, old.sizeBytes);
    return true;
  }

  /** Stops the builder and closes the file. Requests must have ended. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#building;
    await this.#file.close();
  }

  async #changing(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    if (!this.#writers.isOpen) await this.#writers.passed();
    try {
      await this.#holding(offset, length, 'exclusive', work);
    } finally {
      this.#changed(offset, length);
    }
  }

  async #holding(offset: number, length: number, use: RangeUse, work: () => Promise<void>): Promise<void> {
    const lease: RangeLease = await this.#ranges.take(offset, offset + length, use);
    try {
      await work();
    } finally {
      lease.release();
    }
  }

  #changed(offset: number, length: number): void {
    for (const listener of this.#listeners) listener(offset, length);
  }
}
