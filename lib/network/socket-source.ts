/**
 * A socket as a source of byte batches: the first stage of every pipe that begins at the network.
 *
 * Where the kernel puts the next read is decided one read ahead (node: `onread`), so the memory must be in hand
 * before it is known whether anything will come. Two places serve:
 *
 * - the *scratch* buffer, one for all sockets of the process. Reads are copied out of it before anything else
 *   runs, so that sharing is safe, and ten thousand silent connections hold no memory.
 * - the free part of a *slab* lent by the pool, while more bytes seem to wait: the last read filled its buffer.
 *   Such reads are not copied. The pool bounds how many slabs are held so, for a peer may fill a read and fall silent.
 *
 * A read that came back short means that the socket is drained: the source lets go of its slab in that moment,
 * and a later read goes behind its earlier batches in the same slab if they still travel, into another one if
 * not. So an idle connection never keeps a slab from the others, whoever is slow. Only where large requests come one
 * by one (`expectsMore`) it stays ready for the next: such a read needs no copy, and mostly one call.
 *
 * Without a slab (pool or quota used up) reading stops until there is one. What a connection that was idle then
 * has already brought into the scratch buffer travels in a copy of exactly its size: at most one such batch a
 * connection, `scratch.length` bytes at the most.
 */
import assert from 'node:assert';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import { awake } from '../os/awake.ts';
import { readInto } from '../os/socket-reader.ts';
import { type ByteBatch, releaseBatch } from '../stage/batch.ts';
import { looseSlab, type Slab, type SlabPool, type SlabQuota } from '../stage/slab.ts';

/** What a source reads into, and what it is called in errors. */
export interface SocketSourceOptions {
  /** Slabs of at least `scratch.length` bytes. */
  pool: SlabPool;
  quota: SlabQuota;
  /** Shared by all sources of the process; never holds anything between two reads. */
  scratch: Buffer;
  /** The peer, for log lines: `control 10.0.0.7:51234`. */
  name: string;
  /** Read through 'data' events, as TLS must (node: no `onread` on accepted TLS sockets). */
  byEvents?: boolean;
  /** Keep the slab after a read that would have filled the scratch buffer, as long as the pool may expect more. */
  expectsMore?: boolean;
}

/**
 * Makes `socket` (see `readInto`: accepted paused or dialled, and unread) a Readable of `ByteBatch`; each batch
 * holds its slab once and belongs to who takes it. One batch is queued at the most (`highWaterMark` 1).
 *
 * Ends when the peer ends; fails with MR_ERR_NETWORK_LOST when the connection breaks or is closed before that.
 * Destroying it before its end destroys the socket and releases what is queued; after its end the socket lives
 * on for who writes to it.
 */
export function socketSource(socket: Socket, options: SocketSourceOptions): SocketSource {
  return new SocketSource(socket, options);
}

/** See `socketSource`. */
export class SocketSource extends Readable {
  /** The socket to write to; the one that was given may be dead. */
  readonly socket: Socket;
  readonly #pool: SlabPool;
  readonly #scratch: Buffer;
  #quota: SlabQuota;
  /** Held: reads go into `slab[fill, …)`, of which at least `scratch.length` bytes are left. */
  #slab: Slab | undefined;
  /** Let go, perhaps still travelling: `fill` is its. */
  #last: Slab | undefined;
  #fill = 0;
  /** The last read was short: nothing more waits in the socket. */
  #drained = true;
  /** A slab is held for a read that has not come: counted by the pool. */
  #expecting = false;
  /** The pool had nothing for the last read. */
  #dry = false;
  readonly #expectsMore: boolean;
  /** The last read would have filled the scratch buffer. */
  #isLarge = false;
  /** Downstream takes more. */
  #wanted = false;
  #reading = false;
  /** Set while waiting for a slab: withdraws the request. */
  #withdraw: (() => void) | undefined;

  constructor(socket: Socket, options: SocketSourceOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    assert(options.pool.slabBytes >= options.scratch.length, 'a slab must hold a read of the scratch buffer');
    this.#pool = options.pool;
    this.#scratch = options.scratch;
    this.#quota = options.quota;
    this.#expectsMore = options.expectsMore ?? false;
    const lost = (cause: unknown): void => {
      const facts = { peer: options.name, why: why(cause) };
      this.destroy(new MillraceError('MR_ERR_NETWORK_LOST', facts, { cause }));
    };
    const target = {
      buffer: () => this.#room(),
      read: (bytesRead: number, buffer: Buffer) => this.#take(bytesRead, buffer),
    };
    this.socket = readInto(socket, target, { byEvents: options.byEvents ?? false })
      .on('end', () => this.push(null))
      .on('error', lost)
      .on('close', () => {
        if (!this.socket.readableEnded) lost('closed before its end');
      });
  }

  /** From now on slabs are lent on this quota; those in flight stay on the old one. */
  setQuota(quota: SlabQuota): void {
    this.#quota = quota;
    this.#last = undefined;
    if (this.#withdraw === undefined) return;
    this.#withdraw();
    this.#withdraw = undefined;
    this.#go();
  }

  override _read(): void {
    this.#wanted = true;
    if (!this.#reading && this.#withdraw === undefined) this.#go();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#withdraw?.();
    this.#arrived();
    this.#slab?.release();
    this.#slab = this.#last = undefined;
    // nobody will take what is queued; exactly so many reads, because one more would emit 'end' after an abort
    this.removeAllListeners('data');
    for (let left = this.readableLength; left > 0; left -= 1) releaseBatch(this.read(1) as ByteBatch);
    if (!this.readableEnded) this.socket.destroy();
    callback(error);
  }

  /** One read: pushes it as a batch and says whether the next one may come. */
  #take(bytesRead: number, buffer: Buffer): boolean {
    this.#arrived();
    this.#drained = bytesRead < buffer.length;
    this.#wanted = this.push(this.#batch(bytesRead, buffer));
    this.#reading = this.#wanted && !this.destroyed && this.#mayRead();
    return this.#reading;
  }

  #batch(bytesRead: number, buffer: Buffer): ByteBatch {
    const copied = buffer === this.#scratch;
    if (copied && !this.#land()) {
      this.#dry = true;
      return { slab: looseSlab(Buffer.from(buffer.subarray(0, bytesRead))), start: 0, end: bytesRead };
    }
    const slab = this.#slab as Slab;
    const start = this.#fill;
    if (copied) buffer.copy(slab.bytes, start, 0, bytesRead);
    this.#fill += bytesRead;
    this.#expecting = this.#mayFollow(bytesRead) && this.#hasRoom() && this.#pool.expect();
    if (this.#expecting) slab.retain();
    else {
      // the source's own hold goes with the batch
      this.#slab = undefined;
      this.#last = slab;
    }
    return { slab, start, end: this.#fill };
  }

  /** Where the next read goes; to the slab's begin again if all that was read into it is done with. */
  #room(): Buffer {
    if (this.#slab === undefined) return this.#scratch;
    if (this.#slab.owners === 1) this.#fill = 0;
    return this.#slab.bytes.subarray(this.#fill);
  }

  /** Whether more seems to wait, or is about to come. */
  #mayFollow(bytesRead: number): boolean {
    const wasLarge = this.#isLarge;
    this.#isLarge = bytesRead >= this.#scratch.length;
    if (this.#isLarge) awake.rest();
    return !this.#drained || (this.#expectsMore && (this.#isLarge || wasLarge));
  }

  /** Gets a slab for bytes that lie in the scratch buffer; false: there is none. */
  #land(): boolean {
    if (this.#slab !== undefined) return true;
    if (this.#last !== undefined && this.#last.owners > 0 && this.#hasRoom()) {
      this.#slab = this.#last.retain();
      return true;
    }
    return this.#borrow();
  }

  #borrow(): boolean {
    const slab = this.#pool.acquire(this.#quota);
    if (slab === undefined) return false;
    this.#begin(slab);
    return true;
  }

  /** A slab from the pool, empty. How far the last one is filled is forgotten: nothing more may go into that. */
  #begin(slab: Slab): void {
    this.#slab = slab;
    this.#fill = 0;
    this.#last = undefined;
  }

  #hasRoom(): boolean {
    return this.#pool.slabBytes - this.#fill >= this.#scratch.length;
  }

  #go(): void {
    if (this.#mayRead()) this.#resume();
  }

  #resume(): void {
    this.#reading = true;
    this.socket.resume();
  }

  /** Whether there is memory for the next read; if not, asks the pool and goes on when it has some. */
  #mayRead(): boolean {
    if (this.#slab !== undefined || (this.#drained && !this.#dry)) return true;
    if (this.#borrow()) {
      this.#lent();
      return true;
    }
    this.#withdraw = this.#pool.whenFree(this.#quota, (slab) => {
      this.#withdraw = undefined;
      this.#begin(slab);
      this.#lent();
      this.#resume();
    });
    return false;
  }

  #arrived(): void {
    if (this.#expecting) this.#pool.arrived();
    this.#expecting = false;
  }

  /**
   * A slab came. Unless more seems to wait, and may be expected, that it came was all: the next waiter has it, and
   * the scratch buffer serves.
   */
  #lent(): void {
    this.#dry = false;
    this.#expecting = !this.#drained && this.#pool.expect();
    if (this.#expecting) return;
    const slab = this.#slab;
    this.#slab = undefined;
    // not from within the pool's own round of serving: the chain of waiters may be long
    queueMicrotask(() => slab?.release());
  }
}
