/**
 * A file of the store as its own process reads it again, for viewers. Its descriptor is opened at the first read and
 * is one of the pool's: it may be closed for a while and opened by the file's name again, wherever renames have taken
 * that. Once the name is gone (`vanish`) the descriptor is all there is, and is kept.
 */
import { closeSync, constants, fstatSync, read } from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import type { DiskEnvironment } from './append-file.ts';
import type { Pooled } from './descriptor-pool.ts';
import { QuickReads } from './quick-reads.ts';

/** In place of the descriptor of a file that is not open. */
const none = -1;

/** See the file's head. */
export class ReadableFile implements Pooled {
  readonly urgent = false;
  readonly #pathNow: () => string;
  readonly #pool: DiskEnvironment['pool'];
  readonly #quick: QuickReads;
  #fd = none;
  #inode: bigint | undefined;
  #reads = 0;
  #vanished = false;
  #resting = false;

  /** `pathNow`: where the file is after renames above it. */
  constructor(pathNow: () => string, { pool, pace }: Pick<DiskEnvironment, 'pool' | 'pace'>) {
    this.#pathNow = pathNow;
    this.#pool = pool;
    this.#quick = new QuickReads(pace);
  }

  get path(): string {
    return this.#pathNow();
  }

  get busy(): boolean {
    return this.#reads > 0;
  }

  get suspendable(): boolean {
    return this.#fd !== none && !this.busy && !this.#vanished;
  }

  /** Whether it can be read now: it is open, or there is a descriptor for it. */
  get ready(): boolean {
    if (this.#fd !== none) return true;
    return !this.#vanished && this.#pool.hasRoomFor(this);
  }

  suspend(): void {
    closeSync(this.#fd);
    this.#fd = none;
  }

  /** Never called: it does not wait in the pool, those who read ask `ready`. */
  awake(): void {}

  /**
   * Fills `bytes[start, start + length)` from `position` on; `done` is called before this returns if all of it is in
   * the page cache. Errors: MR_ERR_DISK_READ; MR_ERR_DISK_CHANGED when the file ends before.
   */
  read(
    bytes: Buffer,
    start: number,
    length: number,
    position: number,
    done: (error?: MillraceError) => void,
  ): void {
    try {
      this.#open();
    } catch (error) {
      done(this.#failed(error));
      return;
    }
    const got = this.#quick.read(this.#fd, bytes, start, length, position);
    if (got >= length) {
      done();
      return;
    }
    this.#reads += 1;
    this.#readOn(bytes, start + got, length - got, position + got, (error) => {
      this.#reads -= 1;
      if (this.#resting) this.rest();
      done(error);
    });
  }

  /**
   * Fills `bytes[start, start + length)` likewise if that takes no waiting and no opening. False: it would, or it
   * cannot be read, which `read` will tell.
   */
  readAhead(bytes: Buffer, start: number, length: number, position: number): boolean {
    return this.#fd !== none && this.#quick.read(this.#fd, bytes, start, length, position) >= length;
  }

  #readOn(
    bytes: Buffer,
    start: number,
    length: number,
    position: number,
    done: (error?: MillraceError) => void,
  ): void {
    read(this.#fd, bytes, start, length, position, (error, got) => {
      if (error !== null) done(this.#failed(error));
      else if (got === length) done();
      else if (got === 0) done(new MillraceError('MR_ERR_DISK_CHANGED', { path: this.path }));
      else this.#readOn(bytes, start + got, length - got, position + got, done);
    });
  }

  /** Its name is about to go: it is opened now, or never. Errors: MR_ERR_DISK_READ. */
  keep(): void {
    try {
      this.#open();
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#vanished = true;
    }
  }

  /** Its name is about to go, and nobody needs it. */
  vanish(): void {
    this.#vanished = true;
  }

  #open(): void {
    this.#resting = false;
    if (this.#fd !== none) {
      if (this.#pool.crowded) this.#pool.touch(this);
      return;
    }
    if (this.#vanished) throw new Error('it is gone');
    const fd = this.#pool.open(this, this.#pathNow(), constants.O_RDONLY | constants.O_NOFOLLOW);
    const { ino } = fstatSync(fd, { bigint: true });
    if (this.#inode !== undefined && this.#inode !== ino) {
      closeSync(fd);
      this.#pool.closed(this);
      throw new Error('another file has got its name');
    }
    this.#inode = ino;
    this.#fd = fd;
  }

  /** Nobody reads it any more, or for now: the descriptor goes, after the reads that are under way. */
  rest(): void {
    this.#resting = this.busy;
    if (this.busy) return;
    if (this.#fd !== none) this.suspend();
    this.#pool.closed(this);
  }

  #failed(error: unknown): MillraceError {
    const { path } = this;
    return new MillraceError('MR_ERR_DISK_READ', { path, why: why(error) }, { cause: error });
  }
}
