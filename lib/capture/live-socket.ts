import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../errors.ts';

/**
 * A connection to the live relay whose every wait has a deadline and an end: when the connection is lost, or the
 * deadline passes, whoever waits is told why. It reads all the time; `onBytes` takes what the relay says.
 */
export class LiveSocket {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #gone = new AbortController();
  /** Resolves when the relay has ended its side, after which nothing more can be expected of it; never rejects. */
  readonly endedByRelay: Promise<void>;

  /** `name`: for errors. `onBytes` may throw: then the connection is lost for that reason. */
  constructor(socket: Socket, name: string, timeoutMs: number, onBytes: (bytes: Buffer) => void) {
    this.#socket = socket;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    let reason: unknown;
    socket.on('error', (error) => {
      reason ??= error;
    });
    this.endedByRelay = new Promise((resolve) => {
      const gone = () => {
        const lost = { peer: name, why: reason === undefined ? 'it was closed' : why(reason) };
        this.#gone.abort(new MillraceError('MR_ERR_NETWORK_LOST', lost, { cause: reason }));
        resolve();
      };
      socket.on('end', gone).on('close', gone);
    });
    socket.on('data', (bytes: Buffer) => {
      try {
        onBytes(bytes);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.resume();
  }

  get isEnded(): boolean {
    return this.#gone.signal.aborted;
  }

  /** Sends; resolves when more may be sent. Rejects MR_ERR_NETWORK_LOST, MR_ERR_STAGE_STALLED. */
  async send(ranges: readonly Buffer[]): Promise<void> {
    this.#gone.signal.throwIfAborted();
    this.#socket.cork();
    for (const range of ranges) this.#socket.write(range);
    this.#socket.uncork();
    if (!this.#socket.writableNeedDrain) return;
    const seconds = this.#timeoutMs / 1000;
    const stalled = new MillraceError('MR_ERR_STAGE_STALLED', { what: this.#name, seconds });
    await this.within(once(this.#socket, 'drain', { signal: this.#gone.signal }), stalled);
  }

  /** Waits for something that this connection must bring, no longer than the deadline. Rejects `late`, or MR_ERR_NETWORK_LOST. */
  async within<T>(awaited: Promise<T>, late: MillraceError): Promise<T> {
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, this.#gone.signal]);
    const deadline = delay(this.#timeoutMs, undefined, { signal }).then(
      () => Promise.reject(late),
      () => Promise.reject(this.#gone.signal.reason as Error),
    );
    try {
      return await Promise.race([awaited, deadline]);
    } finally {
      timer.abort();
    }
  }

  /** The producer has finished: what was sent goes out, then the end. */
  end(): void {
    this.#socket.end();
  }

  /** The producer's side broke. */
  abort(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
