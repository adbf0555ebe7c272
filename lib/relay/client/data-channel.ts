/**
 * The sending end of a data connection. Payloads leave as the ranges of slabs in which they came: a slab is held
 * until the kernel has its last byte. What waits is bounded: who writes asks for `room` between batches.
 */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Slab } from '../../stage/slab.ts';
import { dataHeader } from '../../wire/relay/index.ts';
import { endSocket } from './control-channel.ts';
import type { DataLink } from './data-link.ts';

/** See the file's head. Owns the socket. `onFailed` is called once, with what ended the channel before `end`. */
export class DataChannel implements DataLink {
  /** Resolves when the connection is gone and no slab is held any more. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #peer: string;
  readonly #timeoutMs: number;
  readonly #onFailed: (error: MillraceError) => void;
  /** Ranges of this tick that are not written yet, and the slabs they lie in. */
  #ranges: Buffer[] = [];
  #slabs = new Set<Slab>();
  #queuedBytes = 0;
  /** Slabs of writes under way: given home when they are through, or when the socket is gone. */
  readonly #lent = new Set<Set<Slab>>();
  #whenRoom: (() => void) | undefined;
  #failed: MillraceError | undefined;
  #ending = false;

  constructor(
    socket: Socket,
    options: { peer: string; timeoutMs: number; onFailed: (error: MillraceError) => void },
  ) {
    this.#socket = socket;
    this.#peer = options.peer;
    this.#timeoutMs = options.timeoutMs;
    this.#onFailed = options.onFailed;
    const lost = (reason: string, cause?: unknown) =>
      this.fail(new MillraceError('MR_ERR_NETWORK_LOST', { peer: this.#peer, why: reason }, { cause }));
    socket
      .on('data', ({ length }: Buffer) =>
        this.fail(
          new MillraceError('MR_ERR_CLIENT_REPLY', {
            peer: this.#peer,
            why: `sent ${length} bytes on the data connection, on which it has nothing to say`,
          }),
        ),
      )
      .on('error', (error) => lost(why(error), error))
      .on('end', () => {
        if (!this.#ending) lost('the relay closed it');
      })
      .on('close', () => {
        if (!this.#ending) lost('closed');
        for (const slabs of this.#lent) releaseAll(slabs);
        this.#lent.clear();
      })
      .resume();
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** A connection belongs to the session of its first packet. */
  opened(): Promise<void> {
    return Promise.resolve();
  }

  /** A packet begins: its header. */
  header(streamId: bigint, netSeqNum: bigint, dataSizeBytes: number, paddingSizeBytes: number): void {
    this.#ranges.push(
      dataHeader.encode({ circuitId: 0n, streamId, netSeqNum, dataSizeBytes, paddingSizeBytes }),
    );
  }

  /** Bytes of it. The slab is retained until they have left. */
  bytes(slab: Slab, start: number, end: number): void {
    if (end === start) return;
    if (!this.#slabs.has(slab)) this.#slabs.add(slab.retain());
    this.#ranges.push(slab.bytes.subarray(start, end));
  }

  /** Bytes that lie in no slab; never written to again. */
  filler(bytes: Buffer): void {
    this.#ranges.push(bytes);
  }

  /** Writes what was collected, in one call where the kernel takes it. */
  flush(): void {
    const ranges = this.#ranges;
    const slabs = this.#slabs;
    if (ranges.length === 0) return;
    this.#ranges = [];
    this.#slabs = new Set();
    if (this.#failed !== undefined) {
      releaseAll(slabs);
      return;
    }
    const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
    this.#queuedBytes += bytes;
    this.#lent.add(slabs);
    const last = ranges.pop() as Buffer;
    this.#socket.cork();
    for (const range of ranges) this.#socket.write(range);
    this.#socket.write(last, () => {
      this.#queuedBytes -= bytes;
      if (this.#lent.delete(slabs)) releaseAll(slabs);
      this.#whenRoom?.();
    });
    this.#socket.uncork();
  }

  /** Resolves when little enough waits to be sent. Rejects with MR_ERR_STAGE_STALLED, or what ended the channel. */
  async room(mostBytes: number = limits.clientQueuedBytes): Promise<void> {
    while (this.#failed === undefined && this.#queuedBytes > mostBytes) await this.#progress();
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Until a write is through. A relay that takes no byte for the whole deadline is given up. */
  #progress(): Promise<void> {
    const before = this.#socket.bytesWritten - this.#socket.writableLength;
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(stalled);
        this.#whenRoom = undefined;
        resolve();
      };
      const stalled = setTimeout(() => {
        if (this.#socket.bytesWritten - this.#socket.writableLength === before) this.#stalled();
        settle();
      }, this.#timeoutMs);
      this.#whenRoom = settle;
    });
  }

  #stalled(): void {
    const seconds = this.#timeoutMs / 1000;
    this.fail(new MillraceError('MR_ERR_STAGE_STALLED', { what: `relay ${this.#peer} (data)`, seconds }));
  }

  /** Ends the channel with an error. */
  fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    releaseAll(this.#slabs);
    this.#ranges = [];
    this.#socket.destroy();
    this.#whenRoom?.();
    this.#onFailed(error);
  }

  /** Ends the connection in order and resolves when it is closed, or was cut after the deadline. */
  end(): Promise<void> {
    this.flush();
    this.#ending = true;
    return endSocket(this.#socket, this.#timeoutMs);
  }
}

function releaseAll(slabs: Set<Slab>): void {
  for (const slab of slabs) slab.release();
  slabs.clear();
}
