import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../errors.ts';

/**
 * A connection to a live peer whose every wait has a deadline and an end: when the connection is lost, or the
 * deadline passes, whoever waits is told why. It reads all the time; `onBytes` takes what it says.
 */
export class LiveSocket {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #timeoutMs: number;
  /** Nothing more will be heard: the peer has ended, or the connection broke. */
  readonly #gone = new AbortController();
  /** Nothing more can be said either. */
  readonly #closed = new AbortController();
  /** Resolves when the peer has ended its side, after which nothing more can be expected of it; never rejects. */
  readonly endedByPeer: Promise<void>;

  /** `name`: for errors. `onBytes` may throw: then the connection is lost for that reason. */
  constructor(socket: Socket, name: string, timeoutMs: number, onBytes: (bytes: Buffer) => void) {
    this.#socket = socket;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    let reason: unknown;
    socket.on('error', (error) => {
      reason ??= error;
    });
    this.endedByPeer = new Promise((resolve) => {
      const gone = () => {
        const lost = { peer: name, why: reason === undefined ? 'it was closed' : why(reason) };
        this.#gone.abort(new MillraceError('MR_ERR_NETWORK_LOST', lost, { cause: reason }));
        resolve();
      };
      socket.on('end', gone).on('close', () => {
        gone();
        this.#closed.abort(this.#gone.signal.reason);
      });
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
    this.#closed.signal.throwIfAborted();
    this.#socket.cork();
    for (const range of ranges) this.#socket.write(range);
    this.#socket.uncork();
    if (!this.#socket.writableNeedDrain) return;
    const seconds = this.#timeoutMs / 1000;
    const stalled = new MillraceError('MR_ERR_STAGE_STALLED', { what: this.#name, seconds });
    const { signal } = this.#closed;
    await this.within(once(this.#socket, 'drain', { signal }), stalled, signal);
  }

  /** Waits for something that this connection must bring, no longer than the deadline. Rejects `late`, or MR_ERR_NETWORK_LOST. */
  async within<T>(
    awaited: Promise<T>,
    late: MillraceError,
    gone: AbortSignal = this.#gone.signal,
  ): Promise<T> {
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, gone]);
    const deadline = delay(this.#timeoutMs, undefined, { signal }).then(
      () => Promise.reject(late),
      () => Promise.reject(gone.reason as Error),
    );
    try {
      return await Promise.race([awaited, deadline]);
    } finally {
      timer.abort();
    }
  }

  /** We have finished: what was sent goes out, then the end. */
  end(): void {
    this.#socket.end();
  }

  /** Ends, and resolves when all that was said has left, or cannot. Rejects MR_ERR_STAGE_STALLED. */
  async finish(): Promise<void> {
    this.#socket.end();
    if (this.#socket.writableFinished || this.#socket.destroyed) return;
    const stalled = new MillraceError('MR_ERR_STAGE_STALLED', {
      what: this.#name,
      seconds: this.#timeoutMs / 1000,
    });
    const left = new Promise<void>((resolve) => {
      this.#socket.once('finish', resolve).once('close', resolve);
    });
    await this.within(left, stalled, this.#closed.signal).catch((error: unknown) => {
      if (error === stalled) throw stalled;
    });
  }

  /** Our side broke. */
  abort(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
