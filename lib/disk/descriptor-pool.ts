/**
 * Who may hold a descriptor. While all files of a relay fit, this costs its writers one comparison; when they do
 * not, the file that was unused longest is suspended: closed for a while, and opened again by its own next write.
 * Only files that have nothing to lose may be: a file with uncommitted bytes keeps its descriptor, for the lock on
 * them ends with it (design, "Descriptor pool").
 *
 * When all descriptors are kept that way, a data file that needs one waits, and with it the connection whose bytes
 * it is to take, until packets are committed elsewhere. Index and metadata files need not wait then: they may go
 * over the capacity by some, or nothing would ever be committed.
 */
import { openSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { SuspensionMarks } from './suspension-marks.ts';

/** A file as the pool sees it. */
export interface Pooled {
  readonly path: string;
  /** Its bytes wait for nothing that only it can bring: it may go over the capacity. */
  readonly urgent: boolean;
  /** Nothing in it is uncommitted or under way. */
  readonly suspendable: boolean;
  /** A write or a sync is under way in it. */
  readonly busy: boolean;
  /** Closes the descriptor, nothing else. Called only while `suspendable`. */
  suspend(): void;
  /** It waited: a descriptor may be free now, or none will be (`error`). */
  awake(error?: MillraceError): void;
}

export interface DescriptorPoolOptions {
  /** Descriptors of the whole process; absent: no bound. */
  size?: number;
  /** Where suspended files are marked for readers; absent: nowhere. */
  marks?: SuspensionMarks | undefined;
  /** Commits what only waits for the end of a batch; called before those who wait for descriptors try again. */
  settle?: () => void;
  /** How long a file waits while nothing moves; absent: `limits.descriptorWaitSeconds`. */
  waitSeconds?: number;
}

/** See the file's head. */
export class DescriptorPool {
  /** Whether files may be suspended: only then they ask for their descriptor before each write. */
  crowded = false;
  readonly marks: SuspensionMarks | undefined;
  readonly #size: number;
  readonly #settle: () => void;
  readonly #waitSeconds: number;
  #capacity = Number.POSITIVE_INFINITY;
  /** Files with a descriptor; while crowded, in the order of their last use. */
  readonly #open = new Set<Pooled>();
  readonly #suspended = new Set<Pooled>();
  readonly #waiting = new Set<Pooled>();
  #waking = false;
  #deadline: NodeJS.Timeout | undefined;

  constructor(options: DescriptorPoolOptions = {}) {
    const { size = Number.POSITIVE_INFINITY, marks, settle = () => {} } = options;
    this.#size = size;
    this.#waitSeconds = options.waitSeconds ?? limits.descriptorWaitSeconds;
    this.#settle = settle;
    this.marks = marks;
    this.reserve(0);
  }

  get openFiles(): number {
    return this.#open.size;
  }

  get suspendedFiles(): number {
    return this.#suspended.size;
  }

  get waitingFiles(): number {
    return this.#waiting.size;
  }

  /** So many connections are there: they come first, down to a few files. */
  reserve(connections: number): void {
    const others = limits.processDescriptors + limits.spareDescriptors + connections;
    this.#capacity = Math.max(limits.filesOpenAtLeast, this.#size - others);
    this.#makeRoom(0);
    this.#changed();
  }

  /** Whether `file` may be opened now, after suspending another where that helps. */
  hasRoomFor(file: Pooled): boolean {
    this.#makeRoom(1);
    return this.#open.size < this.#capacity + (file.urgent ? limits.spareDescriptors / 2 : 0);
  }

  /**
   * Opens a file, over the capacity if nothing can be suspended. Where the system itself has no descriptor left,
   * everything that can be is suspended first. Throws what the system says.
   */
  open(file: Pooled, path: string, flags: number, mode?: number): number {
    this.#makeRoom(1);
    const fd = this.#openAnyway(path, flags, mode);
    this.#suspended.delete(file);
    this.#waiting.delete(file);
    this.#open.add(file);
    this.#changed();
    return fd;
  }

  #openAnyway(path: string, flags: number, mode: number | undefined): number {
    try {
      return openSync(path, flags, mode);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
      this.#suspend(this.#open.size);
      return openSync(path, flags, mode);
    }
  }

  /** The file is used: it is the last to be suspended. */
  touch(file: Pooled): void {
    this.#open.delete(file);
    this.#open.add(file);
  }

  /** The file is closed for good, or could not be born. */
  closed(file: Pooled): void {
    this.#open.delete(file);
    this.#suspended.delete(file);
    this.#waiting.delete(file);
    this.#changed();
    this.freed();
  }

  /** The file waits for a descriptor: its `awake` is called when there may be one. */
  wait(file: Pooled): void {
    this.#waiting.add(file);
    this.#deadline ??= setTimeout(() => this.#giveUp(), this.#waitSeconds * 1000);
    this.freed();
  }

  /** A file has become suspendable, or has gone: those who wait may try again, after the call that brought this. */
  freed(): void {
    if (this.#waiting.size === 0 || this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#wake();
    });
  }

  #wake(): void {
    this.#settle();
    let isFull = false;
    let awoken = 0;
    for (const file of this.#waiting) {
      if (isFull && !file.urgent) continue;
      if (this.hasRoomFor(file)) {
        this.#waiting.delete(file);
        awoken += 1;
        file.awake();
      } else if (file.urgent) break;
      else isFull = true;
    }
    if (this.#waiting.size === 0) {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    } else if (awoken > 0) {
      this.#deadline?.refresh();
      this.freed();
    }
  }

  /**
   * Nothing was freed for so long that whoever holds the descriptors seems to wait for those who wait here. A disk
   * that stalls is another matter: it is waited for, here as everywhere.
   */
  #giveUp(): void {
    if ([...this.#open].some(({ busy }) => busy)) {
      this.#deadline?.refresh();
      return;
    }
    this.#deadline = undefined;
    const files = [...this.#waiting];
    this.#waiting.clear();
    for (const file of files) {
      const why = `no file descriptor became free in ${this.#waitSeconds} s: all of ${this.#open.size} belong to files whose packets lack their index`;
      file.awake(new MillraceError('MR_ERR_DISK_WRITE', { path: file.path, why }));
    }
  }

  #makeRoom(files: number): void {
    const over = this.#open.size + files - this.#capacity;
    if (over > 0) this.#suspend(over);
  }

  #suspend(count: number): void {
    let left = count;
    for (const file of this.#open) {
      if (left <= 0) return;
      if (!file.suspendable) continue;
      file.suspend();
      this.#open.delete(file);
      this.#suspended.add(file);
      left -= 1;
    }
    this.#changed();
  }

  #changed(): void {
    this.crowded = this.#suspended.size > 0 || this.#open.size >= this.#capacity;
  }
}
