/**
 * Memory for replies with data. A connection fills pieces of a pool that all connections share; small replies lie
 * behind one another in one piece, so that what belongs together leaves in one write. Each connection is sure of one
 * piece whatever the others hold, so a client that does not read its replies starves nobody.
 */
import { limits } from '../../limits.ts';
import { type Slab, SlabPool, type SlabQuota } from '../../stage/slab.ts';

/** Room for headers beside the data of one piece. */
const headroomBytes = 4096;

/** The pool of a server. */
export function piecePool(): SlabPool {
  return new SlabPool({ slabBytes: limits.nbdPieceBytes + headroomBytes, slabs: limits.nbdPieces });
}

/** A part of a piece, for one reply; held once, by who asked for it. */
export interface Room {
  slab: Slab;
  start: number;
}

/** The pieces of one connection. */
export class Pieces {
  readonly #pool: SlabPool;
  readonly #sure: SlabQuota;
  readonly #more: SlabQuota;
  #current: Slab | undefined;
  #fill = 0;
  #ready: (() => void)[] = [];
  #withdraw: (() => void) | undefined;
  #closed = false;

  constructor(pool: SlabPool) {
    this.#pool = pool;
    this.#sure = pool.quota(1);
    this.#more = pool.quota(limits.nbdPiecesPerConnection, Math.floor(pool.slabs / 4));
  }

  /** Bytes that one room may have at the most. */
  get roomBytes(): number {
    return this.#pool.slabBytes;
  }

  /** Room for `sizeBytes`, or undefined: there is none now, ask `whenFree`. */
  take(sizeBytes: number): Room | undefined {
    if (this.#closed) return undefined;
    // nobody but us has it: what was in it has left
    if (this.#current?.owners === 1) this.#fill = 0;
    if (this.#current === undefined || this.#fill + sizeBytes > this.roomBytes) {
      const slab = this.#pool.acquire(this.#sure) ?? this.#pool.acquire(this.#more);
      if (slab === undefined) return undefined;
      this.#begin(slab);
    }
    const start = this.#fill;
    this.#fill += sizeBytes;
    return { slab: (this.#current as Slab).retain(), start };
  }

  /** Calls `ready` once, when there is a piece again; never when the connection is gone by then. */
  whenFree(ready: () => void): void {
    if (this.#closed) return;
    this.#ready.push(ready);
    if (this.#withdraw !== undefined) return;
    const withdraw = [this.#sure, this.#more].map((quota) =>
      this.#pool.whenFree(quota, (slab) => {
        const waiting = this.#ready.splice(0);
        this.rest();
        this.#begin(slab);
        for (const each of waiting) each();
      }),
    );
    this.#withdraw = () => {
      for (const each of withdraw) each();
    };
  }

  #begin(slab: Slab): void {
    this.#current?.release();
    this.#current = slab;
    this.#fill = 0;
  }

  /** Holds nothing and waits for nothing: the connection is idle. */
  rest(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
    this.#ready = [];
    this.#current?.release();
    this.#current = undefined;
  }

  /** For good. */
  close(): void {
    this.#closed = true;
    this.rest();
  }
}
