/**
 * Where viewers come in. What serves them is loaded when the first one comes, or a while after the relay has begun to
 * listen: its start does not wait for it.
 */
import type { Socket } from 'node:net';
import type { ViewerStatus } from '../options.ts';
import type { RelayState } from '../state.ts';
import type { Viewers } from './viewers.ts';

/** When nobody has come yet, milliseconds. */
const loadAfterMs = 1000;

/** See the file's head. */
export class ViewerDoor {
  readonly #relay: RelayState;
  readonly #onGone: () => void;
  readonly #timer: NodeJS.Timeout;
  #viewers: Viewers | undefined;
  #isLoading = false;
  #isClosed = false;
  /** Those who came first. */
  #waiting: Socket[] = [];

  /** `onGone`: called when a viewer is. */
  constructor(relay: RelayState, onGone: () => void) {
    this.#relay = relay;
    this.#onGone = onGone;
    this.#timer = setTimeout(() => void this.#load(), loadAfterMs).unref();
  }

  get size(): number {
    return (this.#viewers?.size ?? 0) + this.#waiting.length;
  }

  /** Packets that viewers missed, of those who have gone. */
  get lostPackets(): number {
    return this.#viewers?.lostPackets ?? 0;
  }

  status(): ViewerStatus[] {
    return this.#viewers?.status() ?? [];
  }

  /** Takes up a connection to the live port. */
  accept(socket: Socket): void {
    if (this.#viewers !== undefined) {
      this.#viewers.accept(socket);
      return;
    }
    // nobody has read from it, so all that may come is an error, which whoever reads is told again
    socket.on('error', () => {});
    this.#waiting.push(socket);
    void this.#load();
  }

  async #load(): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    const { Viewers } = await import('./viewers.ts');
    if (this.#isClosed) return;
    this.#viewers = new Viewers(this.#relay, this.#onGone);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const socket of waiting) this.#viewers.accept(socket);
  }

  sweep(): void {
    this.#viewers?.sweep();
  }

  destroy(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#viewers?.destroy();
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting = [];
  }
}
