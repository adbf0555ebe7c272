/** A producer's end of one connection to a relay: what is written, and replies by their length. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { acknowledgeNow } from './native.ts';

interface Wait {
  bytes: number;
  resolve: (reply: Buffer) => void;
  reject: (error: Error) => void;
}

/** One TCP connection with TCP_NODELAY. Loss of the connection rejects what waits and all that is asked later. */
export class Connection {
  readonly #socket: Socket;
  readonly #waits: Wait[] = [];
  #received: Buffer = Buffer.alloc(0);
  #lost: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // Replies to pipelined requests are many small writes: under Nagle's algorithm, which lttng-relayd leaves
    // on, each would wait for a delayed acknowledgement. A real producer has one request under way and never
    // meets this, so the bench must not charge the relay with it.
    const { fd } = (socket as Socket & { _handle: { fd: number } })._handle;
    socket.on('data', (bytes: Buffer) => {
      acknowledgeNow(fd);
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
      this.#serve();
    });
    socket.on('error', (error) => this.#lose(error));
    socket.on('close', () => this.#lose(new Error('the relay closed the connection')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Connection(socket);
  }

  /** Resolves when the system has taken all of `bytes`, which are borrowed until then. */
  send(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error) reject(this.#lost ?? error);
        else resolve();
      });
    });
  }

  /** The next `bytes` bytes from the relay; several calls are served in their order. */
  receive(bytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) reject(this.#lost);
      this.#waits.push({ bytes, resolve, reject });
      this.#serve();
    });
  }

  /** Sends a request and resolves to its reply. */
  async ask(message: Buffer, replyBytes: number): Promise<Buffer> {
    const [reply] = await Promise.all([this.receive(replyBytes), this.send(message)]);
    return reply;
  }

  /** Sends FIN and waits until the relay has closed its side too. */
  async end(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.end();
    await closed;
  }

  #serve(): void {
    for (let wait = this.#waits[0]; wait !== undefined; wait = this.#waits[0]) {
      if (this.#received.length < wait.bytes) return;
      this.#waits.shift();
      wait.resolve(this.#received.subarray(0, wait.bytes));
      this.#received = this.#received.subarray(wait.bytes);
    }
  }

  #lose(error: Error): void {
    this.#lost ??= error;
    for (const wait of this.#waits.splice(0)) wait.reject(this.#lost);
  }
}
