/**
 * Which tracefile of a stream is next, and what it is called. A stream without a size limit has one file, called as
 * its channel; the others number theirs. A count of 0 means that the numbers go on without end.
 */
import type { StreamOpen } from '../stage/frames.ts';
import { lastTracefile } from './last-record.ts';

/** See the file's head. */
export class TracefileRing {
  readonly #channelName: string;
  readonly #sizeLimitBytes: bigint;
  readonly #count: bigint;
  /** Of the current tracefile, if they are limited. */
  #number = 0n;

  constructor({ channelName, tracefileSizeBytes, tracefileCount }: StreamOpen) {
    this.#channelName = channelName;
    this.#sizeLimitBytes = tracefileSizeBytes;
    this.#count = tracefileCount;
  }

  /** Name of the current tracefile. */
  get name(): string {
    return this.#sizeLimitBytes > 0n ? `${this.#channelName}_${this.#number}` : this.#channelName;
  }

  /** Whether a packet of `packetBytes` would make a tracefile that has `endBytes` grow beyond its size. */
  isFull(endBytes: number, packetBytes: number): boolean {
    const limit = this.#sizeLimitBytes;
    return limit > 0n && endBytes > 0 && BigInt(endBytes + packetBytes) > limit;
  }

  /** Goes on to the next tracefile. */
  advance(): void {
    this.#number += 1n;
    if (this.#count > 0n && this.#number >= this.#count) this.#number = 0n;
  }

  /** Each trace chunk begins with the first one. */
  restart(): void {
    this.#number = 0n;
  }

  /** Goes on with the tracefile that holds the latest packet; `directory`: tells where they lie, if that matters. */
  resume(directory: () => string): void {
    if (this.#sizeLimitBytes > 0n) this.#number = lastTracefile(directory(), this.#channelName);
  }
}
