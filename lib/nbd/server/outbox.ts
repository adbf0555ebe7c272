/**
 * What goes to one client. Replies are collected while one read of the socket is worked through and leave together;
 * neighbours in memory become one range.
 */
import type { Socket } from 'node:net';
import { limits } from '../../limits.ts';
import type { Slab } from '../../stage/slab.ts';
import type { Pieces } from './pieces.ts';

interface Range {
  bytes: Buffer;
  start: number;
  end: number;
  /** Held until the range is written; `bytes` are its. */
  slab: Slab | undefined;
}

const pageBytes = 4096;

/** See the file's head. */
export class Outbox {
  readonly #socket: Socket;
  #ranges: Range[] = [];
  #queuedBytes = 0;
  /** Memory of replies without data; left to the garbage collector when full. */
  #page = Buffer.alloc(0);
  #pageFill = 0;
  #scheduled = false;
  #closed = false;
  #hopeful: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that wait for `flush`. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** More should wait for the socket's 'drain'. */
  get isFull(): boolean {
    return this.#socket.writableLength >= limits.nbdPieceBytes * 2;
  }

  /** Appends `sizeBytes` that `write` puts into `bytes` from `at` on. */
  small(sizeBytes: number, write: (bytes: Buffer, at: number) => void): void {
    if (this.#pageFill + sizeBytes > this.#page.length) {
      this.#page = Buffer.allocUnsafeSlow(Math.max(pageBytes, sizeBytes));
      this.#pageFill = 0;
    }
    const start = this.#pageFill;
    this.#pageFill += sizeBytes;
    write(this.#page, start);
    this.#append({ bytes: this.#page, start, end: start + sizeBytes, slab: undefined });
  }

  /** Appends `slab.bytes[start, end)` and takes over one hold on the slab. */
  data(slab: Slab, start: number, end: number): void {
    if (this.#closed) slab.release();
    else this.#append({ bytes: slab.bytes, start, end, slab });
  }

  #append(range: Range): void {
    if (this.#closed) return;
    this.#queuedBytes += range.end - range.start;
    join(this.#ranges, range);
  }

  /** Resolves when more may be sent, and `pieces` may have memory for it; rejects when the connection is gone. */
  async whenRoom(pieces: Pieces): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#hopeful.push({ resolve, reject });
      if (this.#closed) this.#disappoint();
      else if (!this.isFull) pieces.whenFree(() => this.drained());
    });
  }

  /** The socket has room again. */
  drained(): void {
    for (const { resolve } of this.#hopeful.splice(0)) resolve();
  }

  #disappoint(): void {
    for (const { reject } of this.#hopeful.splice(0)) reject(new Error('the client is gone'));
  }

  /** Lets `flush` happen soon, together with what else completes in this turn. */
  flushSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Hands everything to the socket. */
  flush(): void {
    if (this.#ranges.length === 0) return;
    const ranges = this.#ranges;
    this.#ranges = [];
    if (ranges.length > 1) this.#socket.cork();
    for (const { bytes, start, end, slab } of ranges) {
      this.#queuedBytes -= end - start;
      if (slab === undefined) this.#socket.write(bytes.subarray(start, end));
      else this.#socket.write(bytes.subarray(start, end), () => slab.release());
    }
    if (ranges.length > 1) this.#socket.uncork();
  }

  /** The connection is gone: nothing more is sent, all memory is given back. */
  close(): void {
    this.#closed = true;
    for (const { slab } of this.#ranges) slab?.release();
    this.#ranges = [];
    this.#queuedBytes = 0;
    this.#disappoint();
  }
}

/** Appends a range, to the last one where they are neighbours. */
function join(ranges: Range[], range: Range): void {
  const last = ranges.at(-1);
  if (last?.bytes === range.bytes && last.end === range.start) {
    last.end = range.end;
    // one hold is enough
    range.slab?.release();
  } else ranges.push(range);
}
