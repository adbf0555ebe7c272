/**
 * A destination of migrations that does as flexnbd's `listen`, except for one sin. It takes down what it is sent, in
 * order, and keeps the bytes.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Peer } from '../../helpers/peer.ts';
import * as bytes from './bytes.ts';

/** What differs from a good destination; every part may be absent. */
export interface Sin {
  /** undefined: no hello at all. */
  hello?(sizeBytes: number): Buffer | undefined;
  /** Before the hello. True: the connection was dealt with. */
  connect?(socket: Socket, connection: number): boolean;
  /** Before the data of a request is read. True: the connection was dealt with. */
  request?(peer: Peer, request: bytes.Request): Promise<boolean> | boolean;
  /** In place of the reply. */
  reply?(peer: Peer, request: bytes.Request): Promise<void> | void;
  flags?: number;
}

/** A request as it came. */
export interface Seen extends bytes.Request {
  connection: number;
  atMs: number;
}

/** See the file's head. */
export class FakeDestination {
  readonly image: Buffer;
  readonly requests: Seen[] = [];
  readonly #server: Server;
  readonly #sin: Sin;
  readonly #sockets = new Set<Socket>();
  connections = 0;
  port = 0;
  /** DISC came. */
  disconnected = false;
  /** Called as a request comes, before anything is done about it. */
  onRequest: (request: Seen) => void = () => undefined;
  #changed: () => void = () => undefined;

  private constructor(sizeBytes: number, sin: Sin) {
    this.image = Buffer.alloc(sizeBytes, 0xa5);
    this.#sin = sin;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      this.connections += 1;
      this.#changed();
      if (sin.connect?.(socket, this.connections) === true) return void socket.resume();
      const hello = sin.hello === undefined ? bytes.hello(sizeBytes, sin.flags) : sin.hello(sizeBytes);
      if (hello !== undefined) socket.write(hello);
      void this.#serve(Peer.of(socket), this.connections).catch(() => socket.destroy());
    });
  }

  static async start(
    t: { teardown(run: () => void): void },
    sizeBytes: number,
    sin: Sin = {},
  ): Promise<FakeDestination> {
    const fake = new FakeDestination(sizeBytes, sin);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    fake.port = (fake.#server.address() as { port: number }).port;
    t.teardown(() => fake.stop());
    return fake;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Loses every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves when `is` holds; looked at whenever something has come. */
  async until(is: () => boolean): Promise<void> {
    while (!is())
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
  }

  async #serve(peer: Peer, connection: number): Promise<void> {
    for (;;) {
      const request = bytes.readRequest(await peer.read(bytes.requestBytes));
      const seen = { ...request, connection, atMs: performance.now() };
      this.requests.push(seen);
      this.onRequest(seen);
      this.#changed();
      if ((await this.#sin.request?.(peer, request)) === true) return;
      if (request.type === bytes.types.disconnect) {
        this.disconnected = true;
        this.#changed();
        return void peer.socket.end();
      }
      if (request.type === bytes.types.write)
        (await peer.read(request.length)).copy(this.image, request.offset);
      if (request.type === bytes.types.writeZeroes)
        this.image.fill(0, request.offset, request.offset + request.length);
      this.#changed();
      if (this.#sin.reply !== undefined) await this.#sin.reply(peer, request);
      else peer.write(bytes.reply(request.cookie));
    }
  }
}
