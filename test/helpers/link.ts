/** A link between two programs that a test can cut: a proxy for one TCP port. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from './peer.ts';

/** See the file's head. */
export class Link {
  readonly address: Address;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** New connections are closed at once. */
  isDown = false;

  private constructor(server: Server, address: Address) {
    this.#server = server;
    this.address = address;
  }

  /** `to`: asked for with each connection, so that what is behind may come back elsewhere. */
  static async open(t: { teardown(leave: () => unknown): void }, to: () => Address): Promise<Link> {
    const server = createServer({ allowHalfOpen: true }, (socket) => link.#join(socket, to()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const link = new Link(server, { host: '127.0.0.1', port });
    t.teardown(
      () =>
        new Promise<void>((resolve) => {
          link.cut();
          server.close(() => resolve());
        }),
    );
    return link;
  }

  #join(socket: Socket, to: Address): void {
    if (this.isDown) {
      socket.destroy();
      return;
    }
    const other = connect({ ...to, allowHalfOpen: true });
    for (const [a, b] of [
      [socket, other],
      [other, socket],
    ] as const) {
      this.#sockets.add(a);
      a.pipe(b);
      a.on('error', () => undefined).on('close', () => {
        this.#sockets.delete(a);
        b.destroy();
      });
    }
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Whether anybody listens still. */
  get open(): boolean {
    return this.#server.listening;
  }
}
