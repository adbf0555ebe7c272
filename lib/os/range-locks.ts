/**
 * Advisory byte-range locks that belong to the open file description (`F_OFD_*`), not to the process: two
 * descriptors of one process conflict like those of two processes, and closing one keeps the other's locks
 * (classic `fcntl` locks are lost with any close). They end with the last descriptor of their description, so a
 * killed process leaves none.
 *
 * `struct flock` on 64-bit Linux: i16 type, i16 whence, 4 pad, i64 start, i64 length, i32 pid, 4 pad. It is
 * filled in place, in the host's byte order, and lent to the call: nothing is allocated per lock.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import { errnoName, type Libc, loadLibc } from './libc.ts';

/** Shared needs a readable descriptor, exclusive a writable one. */
export type LockKind = 'shared' | 'exclusive';

/** A lock as the kernel reports it; `lengthBytes` 0 = to the end of all files. */
export interface RangeLock {
  kind: LockKind;
  startBytes: number;
  lengthBytes: number;
}

/**
 * Locks on ranges of open files. Every call takes the range as start and length in bytes, length 0 = to
 * infinity; a descriptor's own locks never conflict with its new ones, they are replaced, split and joined.
 * Errors: MR_ERR_OS_LOCK, for anything but a refusal. Source: fcntl_locking(2), "Open file description locks".
 */
export interface RangeLocks {
  /** Takes the lock, or returns false: somebody else holds a part of the range. */
  tryLock(fd: number, kind: LockKind, startBytes: number, lengthBytes: number): boolean;
  /** Gives back what this descriptor holds of the range; the rest stays locked without a gap in time. */
  unlock(fd: number, startBytes: number, lengthBytes: number): void;
  /** One lock that would refuse this one; undefined: none would. Needs no lock of its own. */
  query(fd: number, kind: LockKind, startBytes: number, lengthBytes: number): RangeLock | undefined;
  /**
   * Waits for the lock by asking again and again at growing intervals (at most `limits.lockPollMs`): the
   * kernel's own waiting call would hold a pool thread that nobody can call back. Rejects with the signal's
   * reason when it is aborted.
   */
  lock(
    fd: number,
    kind: LockKind,
    startBytes: number,
    lengthBytes: number,
    options?: { signal?: AbortSignal },
  ): Promise<void>;
}

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const EACCES = 13;
const EAGAIN = 11;

let told = false;

/**
 * The locks of this system, or undefined (and one warning) where they cannot be had: koffi is not installed, or
 * a 32-bit system, where `struct flock` is another one.
 */
export function openRangeLocks(): RangeLocks | undefined {
  const { libc, missing } = loadLibc();
  const is64Bit = process.arch === 'x64' || process.arch === 'arm64';
  if (libc !== undefined && is64Bit) return new OfdLocks(libc);
  if (!told) {
    told = true;
    const reason = missing ?? `not known for ${process.arch}`;
    tell('warn', 'os:no-locks', `files are written without byte-range locks: ${reason}`, { reason });
  }
  return undefined;
}

class OfdLocks implements RangeLocks {
  readonly #libc: Libc;
  readonly #bytes = new Uint8Array(32);
  readonly #type = new Int16Array(this.#bytes.buffer, 0, 1);
  readonly #range = new BigInt64Array(this.#bytes.buffer, 8, 2);
  readonly #pid = new Int32Array(this.#bytes.buffer, 24, 1);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  tryLock(fd: number, kind: LockKind, startBytes: number, lengthBytes: number): boolean {
    const errno = this.#call(fd, F_OFD_SETLK, typeOf(kind), startBytes, lengthBytes);
    if (errno === EAGAIN || errno === EACCES) return false;
    check(errno, fd);
    return true;
  }

  unlock(fd: number, startBytes: number, lengthBytes: number): void {
    check(this.#call(fd, F_OFD_SETLK, F_UNLCK, startBytes, lengthBytes), fd);
  }

  query(fd: number, kind: LockKind, startBytes: number, lengthBytes: number): RangeLock | undefined {
    check(this.#call(fd, F_OFD_GETLK, typeOf(kind), startBytes, lengthBytes), fd);
    if (this.#type[0] === F_UNLCK) return undefined;
    return {
      kind: this.#type[0] === F_RDLCK ? 'shared' : 'exclusive',
      startBytes: Number(this.#range[0]),
      lengthBytes: Number(this.#range[1]),
    };
  }

  async lock(
    fd: number,
    kind: LockKind,
    startBytes: number,
    lengthBytes: number,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    let waitMs = 1;
    while (!this.tryLock(fd, kind, startBytes, lengthBytes)) {
      await delay(waitMs);
      signal?.throwIfAborted();
      waitMs = Math.min(waitMs * 2, limits.lockPollMs);
    }
  }

  #call(fd: number, command: number, type: number, startBytes: number, lengthBytes: number): number {
    this.#type[0] = type;
    this.#range[0] = BigInt(startBytes);
    this.#range[1] = BigInt(lengthBytes);
    // the kernel refuses another pid than 0, and a query that found somebody has written -1
    this.#pid[0] = 0;
    return this.#libc.fcntlLock(fd, command, this.#bytes);
  }
}

function typeOf(kind: LockKind): number {
  return kind === 'shared' ? F_RDLCK : F_WRLCK;
}

function check(errno: number, fd: number): void {
  if (errno !== 0) throw new MillraceError('MR_ERR_OS_LOCK', { fd, why: errnoName(errno) });
}
