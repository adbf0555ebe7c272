/** Notices that a server does nothing: every byte of progress, in either direction, is a sign of life. */
import type { Socket } from 'node:net';

export class Silence {
  readonly #timer: NodeJS.Timeout;
  #movedMs = performance.now();
  #sentBytes = 0;

  /** Calls `onSilence` when `isWaiting` and nothing has moved for `silenceMs`. */
  constructor(socket: Socket, silenceMs: number, isWaiting: () => boolean, onSilence: () => void) {
    this.#timer = setInterval(() => {
      const sentBytes = socket.bytesWritten - socket.writableLength;
      if (sentBytes !== this.#sentBytes || !isWaiting()) this.moved();
      this.#sentBytes = sentBytes;
      if (performance.now() - this.#movedMs > silenceMs) onSilence();
    }, silenceMs / 8).unref();
  }

  /** Something came, or is waited for from now on. */
  moved(): void {
    this.#movedMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
