/** A link that a test can cut, stop and let go on: a TCP proxy. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from './peer.ts';

/** See the file's head. */
export class FlakyLink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stopped = false;
  /** Hears of all that passes, either way. */
  onBytes: (bytes: Buffer) => void = () => undefined;
  address: Address = { host: '127.0.0.1', port: 0 };

  private constructor(to: Address) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ ...to, noDelay: true });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one
          .on('error', () => other.destroy())
          .on('close', () => {
            this.#sockets.delete(one);
            other.destroy();
          });
        one.pipe(other);
        one.on('data', (bytes: Buffer) => this.onBytes(bytes));
      }
      if (this.#stopped) this.#pause();
    });
  }

  static async start(t: { teardown(run: () => void): void }, to: Address): Promise<FlakyLink> {
    const link = new FlakyLink(to);
    link.#server.listen(0, '127.0.0.1');
    await once(link.#server, 'listening');
    link.address = { host: '127.0.0.1', port: (link.#server.address() as { port: number }).port };
    t.teardown(() => {
      link.#server.close();
      link.cut();
    });
    return link;
  }

  /** Loses every connection; new ones are let in. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Nothing passes any more, nothing is lost. */
  stop(): void {
    this.#stopped = true;
    this.#pause();
  }

  goOn(): void {
    this.#stopped = false;
    for (const socket of this.#sockets) socket.resume();
  }

  #pause(): void {
    for (const socket of this.#sockets) socket.pause();
  }
}
