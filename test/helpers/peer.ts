/** One end of a TCP connection that a test plays: writes what it likes, reads exactly as much as it asks for. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Where to connect to. */
export interface Address {
  host: string;
  port: number;
}

/** See the file's head. */
export class Peer {
  readonly socket: Socket;
  /** `ADDRESS:PORT` of this end, as the relay names its peers. */
  readonly name: string;
  readonly closed: Promise<void>;
  /** Set when the connection was reset instead of ended. */
  reset = false;
  #held: Buffer = Buffer.alloc(0);
  #gone = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.name = `${socket.localAddress}:${socket.localPort}`;
    socket.on('error', () => {
      this.reset = true;
    });
    socket.on('data', (bytes: Buffer) => {
      this.#held = Buffer.concat([this.#held, bytes]);
      this.#wake();
    });
    const gone = () => {
      this.#gone = true;
      this.#wake();
    };
    socket.on('end', gone);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        gone();
        resolve();
      });
    });
  }

  /** `localAddress`: which of the loopback addresses to come from. */
  static async connect({ host, port }: Address, localAddress?: string): Promise<Peer> {
    const socket = connect({
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await once(socket, 'connect');
    return new Peer(socket);
  }

  /** The end of a connection that was accepted. */
  static of(socket: Socket): Peer {
    return new Peer(socket);
  }

  /** The relay has ended the connection. */
  get gone(): boolean {
    return this.#gone;
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Resolves when the kernel has taken everything. */
  async drained(): Promise<void> {
    if (this.socket.writableLength > 0) await Promise.race([once(this.socket, 'drain'), this.closed]);
  }

  /** Exactly so many bytes; rejects when the connection ends before. */
  async read(bytes: number): Promise<Buffer> {
    while (this.#held.length < bytes) {
      if (this.#gone)
        throw new Error(
          `the relay closed after ${this.#held.length} of ${bytes} bytes: ${this.#held.toString('hex')}`,
        );
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const read = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return read;
  }

  async ask(bytes: Buffer, replyBytes: number): Promise<Buffer> {
    this.write(bytes);
    return this.read(replyBytes);
  }

  /** Everything until the relay ends the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#gone)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  /** Ends the connection in order. */
  async end(): Promise<void> {
    this.socket.end();
    await this.closed;
  }

  /** Goes without a word. */
  async destroy(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}
