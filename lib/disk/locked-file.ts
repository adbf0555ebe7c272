/**
 * The descriptor of a file that a relay writes, with the lock on what is not committed. A file gets its name only
 * when its lock is held (design, "the chunk writer and advisory byte-range locks", birth); a lock that somebody
 * else holds is gone without, and counted.
 *
 * Suspended, it has no descriptor. It is opened by its name again, wherever a rename has taken that meanwhile, and
 * only if this is the same file, as long as it was; the lock on `[size, infinity)` is taken before it is written.
 */
import { closeSync, constants, fstatSync, renameSync, unlinkSync } from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import type { DescriptorPool, Pooled } from './descriptor-pool.ts';
import { ownPrefix } from './names.ts';

/** Files are 0660, less the umask. Source: relay-behaviour, "Modes and opening". */
const fileMode = 0o660;

/** What all files of one output directory share, as far as it concerns their descriptors. */
export interface LockEnvironment {
  locks: RangeLocks | undefined;
  /** Decides which files have descriptors. */
  pool: DescriptorPool;
  /** Locks that somebody else held. */
  lockConflicts: number;
}

/** In place of the descriptor of a suspended file. */
const none = -1;

let births = 0;

/** See the file's head. */
export class LockedFile {
  /** The descriptor; -1 while the file is suspended. */
  fd: number = none;
  readonly #holder: Pooled;
  readonly #pathNow: () => string;
  readonly #env: LockEnvironment;
  #locked = false;
  /** Bytes that the file had when it was gone on with. */
  foundBytes = 0;
  /** Known from the first suspension on. */
  #identity: { dev: bigint; ino: bigint } | undefined;

  /**
   * Creates the file at `holder.path`, whose directory must exist, or replaces the one of that name by a new one:
   * readers keep the old. `pathNow`: where it is after renames above it. `continues`: a file that is there is gone on
   * with; all of it is committed. Errors: MR_ERR_DISK_CREATE.
   */
  constructor(
    holder: Pooled,
    directory: string,
    pathNow: () => string,
    env: LockEnvironment,
    continues = false,
  ) {
    this.#holder = holder;
    this.#pathNow = pathNow;
    this.#env = env;
    const { path } = holder;
    if (continues && this.#continue(path)) return;
    births += 1;
    const birth = `${directory}/${ownPrefix}-${process.pid}-${births}.tmp`;
    let fd: number | undefined;
    try {
      // Behind what is cut off a file, writes go on where it ends.
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND;
      fd = env.pool.open(holder, birth, flags, fileMode);
      this.#locked = this.#lock(fd, 0);
      renameSync(birth, path);
    } catch (error) {
      if (fd !== undefined) {
        closeSync(fd);
        env.pool.closed(holder);
        unlinkSync(birth);
      }
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
    this.fd = fd;
  }

  /** Opens the file that is there. Returns whether there is one. */
  #continue(path: string): boolean {
    let fd: number | undefined;
    try {
      fd = this.#env.pool.open(
        this.#holder,
        path,
        constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW,
      );
      this.foundBytes = fstatSync(fd).size;
      this.#locked = this.#lock(fd, this.foundBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      if (fd !== undefined) closeSync(fd);
      this.#env.pool.closed(this.#holder);
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
    this.fd = fd;
    return true;
  }

  get isOpen(): boolean {
    return this.fd !== none;
  }

  /** Gives `[fromBytes, toBytes)` to readers. Only while open. */
  release(fromBytes: number, toBytes: number): void {
    if (this.#locked) this.#env.locks?.unlock(this.fd, fromBytes, toBytes - fromBytes);
  }

  /** Gives up the descriptor for a while; everything in the file must be committed. */
  suspend(): void {
    if (this.#identity === undefined) {
      const { dev, ino } = fstatSync(this.fd, { bigint: true });
      this.#identity = { dev, ino };
      this.#env.pool.marks?.set(ino);
    }
    closeSync(this.fd);
    this.fd = none;
  }

  /** Opens the suspended file, which had `sizeBytes`. Throws what the system says, or that it is not as it was left. */
  reopen(sizeBytes: number): void {
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW;
    const fd = this.#env.pool.open(this.#holder, this.#pathNow(), flags);
    try {
      this.#check(fd, sizeBytes);
      this.#locked = this.#lock(fd, sizeBytes);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.fd = fd;
  }

  /** Names are for everybody: what has this file's name must be this file. */
  #check(fd: number, sizeBytes: number): void {
    const { dev, ino, size } = fstatSync(fd, { bigint: true });
    if (dev !== this.#identity?.dev || ino !== this.#identity.ino)
      throw new Error('while it was suspended another file got its name');
    if (size !== BigInt(sizeBytes)) throw new Error('somebody changed its size while it was suspended');
  }

  #lock(fd: number, fromBytes: number): boolean {
    const { locks } = this.#env;
    if (locks === undefined) return false;
    const locked = locks.tryLock(fd, 'exclusive', fromBytes, 0);
    if (!locked) this.#env.lockConflicts += 1;
    return locked;
  }

  /** For good; the lock goes with the descriptor. */
  close(): void {
    if (this.isOpen) closeSync(this.fd);
    this.fd = none;
    if (this.#identity !== undefined) this.#env.pool.marks?.clear(this.#identity.ino);
    this.#env.pool.closed(this.#holder);
  }
}
