/**
 * Keeps the last bytes of a file system for metadata and indexes: a trace without its metadata cannot be read, and
 * most producers send it last. While less than the reserve would stay free, packets wait, and so do their
 * producers; nothing is lost by that.
 */
import { statfsSync } from 'node:fs';
import { tell } from '../telemetry.ts';

/** How often it is looked whether there is room again. */
const pollMs = 250;
/** Looks without anybody waiting, after which the shortage is over. */
const quietPolls = 4;

export interface SpaceOptions {
  /** Absolute path of the output directory. */
  path: string;
  /** Bytes that stay free; 0: packets never wait. */
  reserveBytes: number;
  /** Bytes that were let through and are not written yet. */
  inFlight: () => number;
  /** Bytes that the process may still use, injectable for tests. */
  free?: () => number;
  /** Milliseconds, injectable for tests. */
  clock?: () => number;
}

interface Waiter {
  bytes: number;
  goOn: () => void;
}

/** Free space of one output directory. */
export class Space {
  readonly #options: Required<SpaceOptions>;
  /** Bytes that may be written before the file system is asked again. */
  #creditBytes = 0;
  #checkedMs = 0;
  readonly #waiters = new Set<Waiter>();
  /** Set while space is short. */
  #poll: NodeJS.Timeout | undefined;
  #quiet = 0;

  constructor(options: SpaceOptions) {
    const free = () => freeBytes(options.path);
    this.#options = { free, clock: () => performance.now(), ...options };
  }

  /** How many wait for space. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Whether `bytes` of packets may be written now. Asks the file system rarely: half of what is free may go by
   * before the next look, or one second, for others fill the disk too.
   */
  take(bytes: number): boolean {
    const { reserveBytes, inFlight, free, clock } = this.#options;
    if (reserveBytes === 0) return true;
    const nowMs = clock();
    this.#creditBytes -= bytes;
    if (this.#creditBytes >= 0 && nowMs - this.#checkedMs < 1000) return true;
    const left = free() - inFlight() - reserveBytes - bytes;
    this.#checkedMs = nowMs;
    this.#creditBytes = Math.max(0, Math.floor(left / 2));
    return left >= 0;
  }

  /** Calls `goOn` once `bytes` may be written, later than now. Returns what gives up waiting. */
  wait(bytes: number, goOn: () => void): () => void {
    const waiter = { bytes, goOn };
    this.#waiters.add(waiter);
    this.#poll ??= this.#fallShort();
    return () => this.#waiters.delete(waiter);
  }

  #fallShort(): NodeJS.Timeout {
    const { path, reserveBytes } = this.#options;
    const text = `${path}: less than ${reserveBytes} bytes are free: packets wait, and their producers`;
    tell('warn', 'disk:space-short', text, { path, reserveBytes });
    this.#quiet = 0;
    return setInterval(() => this.#look(), pollMs);
  }

  /** Lets go on who can. Whoever needs too much is passed over by those who need less. */
  #look(): void {
    for (const waiter of this.#waiters) {
      if (!this.take(waiter.bytes)) continue;
      this.#waiters.delete(waiter);
      waiter.goOn();
    }
    this.#quiet = this.#waiters.size === 0 ? this.#quiet + 1 : 0;
    if (this.#quiet < quietPolls) return;
    clearInterval(this.#poll);
    this.#poll = undefined;
    const { path } = this.#options;
    tell('info', 'disk:space-back', `${path}: there is room again, nobody waits`, { path });
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
