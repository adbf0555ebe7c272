/** The proxy's connection to the real server: one request at a time, sent whole, its reply read whole. */
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { readExactly } from '../../network/read-exactly.ts';
import { commandRows, requestHeader, simpleReply } from '../../wire/nbd/index.ts';
import { dialServer, inTime, type NbdClientOptions } from '../client/dial-server.ts';
import { Handshake } from '../client/handshake.ts';

/** A request as the client has sent it. */
export interface Forwarded {
  type: number;
  /** Opaque. */
  cookie: bigint;
  /** Its bytes. */
  header: Buffer;
  /** Of a WRITE. */
  data: Buffer | undefined;
  /** Of a READ. */
  length: number;
}

/** What came back. */
export interface Reply {
  error: number;
  /** Empty unless it is that of a READ without error. */
  data: Buffer;
}

const noBytes = Buffer.alloc(0);

/** See the file's head. */
export class Upstream {
  readonly peer: string;
  readonly sizeBytes: number;
  readonly flags: number;
  readonly #socket: Socket;
  readonly #silenceMs: number;

  private constructor(
    socket: Socket,
    peer: string,
    export_: { sizeBytes: number; flags: number },
    silenceMs: number,
  ) {
    this.#socket = socket;
    this.peer = peer;
    this.sizeBytes = export_.sizeBytes;
    this.flags = export_.flags;
    this.#silenceMs = silenceMs;
    socket.on('error', () => undefined);
  }

  /** Connects and shakes hands, oldstyle or newstyle. Rejects as `dialServer` and `Handshake.agree`. */
  static async connect(options: NbdClientOptions, silenceMs: number): Promise<Upstream> {
    const { socket, peer } = await dialServer(options);
    const agreed = await inTime(socket, peer, options, () =>
      new Handshake(socket, peer).agree({ ...options, plain: true }),
    );
    const { sizeBytes, transmissionFlags: flags } = agreed;
    return new Upstream(agreed.socket, peer, { sizeBytes, flags }, silenceMs);
  }

  get isLost(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  /**
   * Sends a request and reads its reply. Rejects when the connection is lost, is silent for too long in one of the steps,
   * or says something that is no reply; it is closed then.
   */
  async exchange({ type, cookie, header, data, length }: Forwarded): Promise<Reply> {
    try {
      await this.#step(() => this.#send(header, data));
      const head = await this.#step(() => this.#read(simpleReply.minSizeBytes));
      const reply = simpleReply.decode(head);
      if (reply.cookie !== cookie) throw this.#broken('a reply to another request');
      const isData = type === commandRows.read.code && reply.error === 0 && length > 0;
      const bytes = isData ? await this.#step(() => this.#read(length)) : noBytes;
      return { error: reply.error, data: bytes };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Closes it without a word: what it was asked may be asked again elsewhere. */
  close(): void {
    this.#socket.destroy();
  }

  #read(sizeBytes: number): Promise<Buffer> {
    return readExactly(this.#socket, sizeBytes, this.peer);
  }

  #send(header: Buffer, data: Buffer | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = (error?: Error | null): void => (error ? reject(error) : resolve());
      if (data === undefined) this.#socket.write(header, sent);
      else {
        this.#socket.cork();
        this.#socket.write(header);
        this.#socket.write(data, sent);
        this.#socket.uncork();
      }
    });
  }

  /** One of the steps of an exchange, within its time. */
  async #step<T>(work: () => Promise<T>): Promise<T> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      this.#socket.destroy();
    }, this.#silenceMs);
    try {
      return await work();
    } catch (error) {
      throw silent ? this.#broken(`nothing for ${this.#silenceMs / 1000} s`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #broken(why: string): MillraceError {
    return new MillraceError('MR_ERR_NBD_PROTOCOL', { peer: this.peer, why });
  }
}

/** The bytes of a READ like `request`, of another length. */
export function readOf({ cookie }: Forwarded, offset: number, length: number): Forwarded {
  const type = commandRows.read.code;
  const header = requestHeader.encode({
    magic: 0x2560_9513,
    flags: 0,
    type,
    cookie,
    offset: BigInt(offset),
    length,
  });
  return { type, cookie, header, data: undefined, length };
}
