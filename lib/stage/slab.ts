/**
 * Slabs: the memory that bytes travel in. A pool lends them, a batch carries one through the stages, and it
 * goes home when the last owner releases it. Nothing is allocated beyond the pool's size, so bytes in flight
 * are bounded whatever peers send; a quota bounds one session's share.
 */
import assert from 'node:assert';
import { limits } from '../limits.ts';

/** Memory for one or more socket reads. Whoever stores a reference across ticks calls `retain`, then `release`. */
export class Slab {
  readonly bytes: Buffer;
  #owners = 0;
  #home: ((slab: Slab) => void) | undefined;

  constructor(bytes: Buffer, home?: (slab: Slab) => void) {
    this.bytes = bytes;
    this.#home = home;
  }

  get owners(): number {
    return this.#owners;
  }

  retain(): this {
    this.#owners += 1;
    return this;
  }

  release(): void {
    assert(this.#owners > 0, 'slab released more often than retained');
    this.#owners -= 1;
    if (this.#owners === 0) this.#home?.(this);
  }
}

/** Wraps bytes that need no pool (fixtures, small requests): release does nothing but count. */
export function looseSlab(bytes: Buffer): Slab {
  return new Slab(bytes).retain();
}

/** A session's share of the pool. */
export class SlabQuota {
  readonly max: number;
  /** Slabs of the pool that it leaves to those whose quota leaves fewer. */
  readonly leaves: number;
  held = 0;
  constructor(max: number, leaves: number) {
    this.max = max;
    this.leaves = leaves;
  }
}

interface Waiter {
  quota: SlabQuota;
  ready: (slab: Slab) => void;
}

/** A bounded set of equal slabs. `slabBytes`, `slabs`: size of one and how many at the most. */
export class SlabPool {
  readonly slabBytes: number;
  readonly slabs: number;
  #free: Buffer[] = [];
  #made = 0;
  #expecting = 0;
  #waiting: Waiter[] = [];

  constructor(options: { slabBytes?: number; slabs?: number } = {}) {
    this.slabBytes = options.slabBytes ?? limits.slabBytes;
    this.slabs = options.slabs ?? limits.slabs;
  }

  /** Slabs that are lent out. */
  get inUse(): number {
    return this.#made - this.#free.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** `leaves`: slabs that are not for it, but at most a quarter of the pool. */
  quota(max: number = limits.slabsPerSession, leaves = 0): SlabQuota {
    return new SlabQuota(max, Math.min(leaves, Math.floor(this.slabs / 4)));
  }

  /** A slab with one owner, or undefined when the pool or the quota is used up. */
  acquire(quota: SlabQuota): Slab | undefined {
    if (quota.held >= quota.max || this.inUse + quota.leaves >= this.slabs) return undefined;
    let bytes = this.#free.pop();
    if (bytes === undefined) {
      // allocUnsafeSlow: outside Node's shared 8 KiB pool, and not zeroed: only what was read is ever used
      bytes = Buffer.allocUnsafeSlow(this.slabBytes);
      this.#made += 1;
    }
    quota.held += 1;
    return new Slab(bytes, (slab) => {
      quota.held -= 1;
      this.#free.push(slab.bytes);
      this.#serve();
    }).retain();
  }

  /**
   * Whether one more reader may hold a slab for bytes that only seem to be on their way. Half of the pool may be held
   * so; a pool of one slab lends it. True is to be followed by `arrived`.
   */
  expect(): boolean {
    if (this.#expecting >= Math.ceil(this.slabs / 2)) return false;
    this.#expecting += 1;
    return true;
  }

  /** The bytes have come, or are waited for no longer. */
  arrived(): void {
    this.#expecting -= 1;
  }

  /**
   * Calls `ready` with a slab as soon as there is one, in order of asking among those whose quota allows it.
   * Returns a function that withdraws the request.
   */
  whenFree(quota: SlabQuota, ready: (slab: Slab) => void): () => void {
    const waiter = { quota, ready };
    this.#waiting.push(waiter);
    queueMicrotask(() => this.#serve());
    return () => {
      const at = this.#waiting.indexOf(waiter);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
  }

  #serve(): void {
    for (let i = 0; i < this.#waiting.length; ) {
      const waiter = this.#waiting[i] as Waiter;
      const slab = this.acquire(waiter.quota);
      if (slab === undefined) {
        i += 1;
        continue;
      }
      this.#waiting.splice(i, 1);
      waiter.ready(slab);
    }
  }
}
