/** What of one connection is unfinished, and since when: for the count of requests in flight, and the killswitch. */
import type { Socket } from 'node:net';
import type { Request } from './request-reader.ts';

/** Times are those of `performance.now()`. */
export class Unfinished {
  readonly #socket: Socket;
  /** Requests that are not answered, with the time they began; oldest first. */
  readonly #running = new Map<Request, number>();
  /** A header or data is coming in: since when, and behind how many requests. */
  #partial: { after: number; sinceMs: number } | undefined;
  /** How much the client has taken of its replies, and since when nothing more. */
  #taken = { bytes: 0, sinceMs: 0 };

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Requests that are at work. */
  get running(): number {
    return this.#running.size;
  }

  begin(request: Request): void {
    this.#running.set(request, performance.now());
  }

  end(request: Request): void {
    this.#running.delete(request);
  }

  /** Whether a request is coming in, the next one behind `after` others. */
  isPartial(isPartial: boolean, after: number): void {
    if (!isPartial) this.#partial = undefined;
    else if (this.#partial?.after !== after) this.#partial = { after, sinceMs: performance.now() };
  }

  /** Since when the oldest unfinished thing is so, replies that the client leaves lying among them. */
  get sinceMs(): number | undefined {
    const { bytesWritten, writableLength } = this.#socket;
    const bytes = bytesWritten - writableLength;
    if (writableLength === 0 || bytes !== this.#taken.bytes)
      this.#taken = { bytes, sinceMs: performance.now() };
    const [oldest] = this.#running.values();
    const stalled = writableLength > 0 ? this.#taken.sinceMs : undefined;
    const since = [oldest, this.#partial?.sinceMs, stalled].filter((ms) => ms !== undefined);
    return since.length === 0 ? undefined : Math.min(...since);
  }
}
