/**
 * One connection to the destination of a migration, as its client: oldstyle, many requests in flight, replies in any
 * order. To flexnbd it is a flexnbd; to a millrace listener it says more (`lib/wire/nbd/peer.ts`).
 *
 * Memory that is given to `write` is lent until the promise settles. A connection that fails, fails all that is in
 * flight; nothing is retried here.
 */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../../errors.ts';
import { type Address, addressText } from '../../network/address.ts';
import { dial } from '../../network/dial.ts';
import { setKeepAlive } from '../../os/socket-options.ts';
import { Framer } from '../../stage/framer.ts';
import {
  commandRows,
  hashBytes,
  nbdErrorName,
  peerCommands,
  requestHeader,
  requestMagic,
  simpleReply,
  transmissionFlags,
  whereBytes,
} from '../../wire/nbd/index.ts';
import { inTime } from '../client/dial-server.ts';
import { type DestinationHello, readHello } from './destination-hello.ts';

/** Times as flexnbd has them. Source: nbd-migration, D.2, A.6, L27. */
export const destinationTimes = { connectMs: 15_000, helloMs: 5_000, requestMs: 60_000 } as const;

export interface DestinationOptions {
  /** Address of this host to come from. */
  bindHost?: string;
  connectMs?: number;
  helloMs?: number;
  /** Without a byte of progress while a request is in flight. */
  requestMs?: number;
  /** Encrypts the connection before a byte is said; rejects with MR_ERR_NBD_TLS. */
  upgrade?: (socket: Socket) => Promise<Socket>;
  signal?: AbortSignal;
}

interface Pending {
  /** Bytes of data behind a reply without error. */
  dataBytes: number;
  resolve(data: Buffer): void;
  reject(error: Error): void;
}

interface ReplyHeader {
  bodyBytes: number;
  collectBytes: number;
  error: number;
  pending: Pending;
}

const noBytes = Buffer.alloc(0);

/** "MIRR", and a count in the other four bytes. */
const mirrorCookie = 0x4d49_5252n << 32n;

/** See the file's head. */
export class Destination {
  readonly address: string;
  readonly hello: DestinationHello;
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  readonly #framer: Framer<ReplyHeader>;
  readonly #requestMs: number;
  #failure: MillraceError | undefined;
  #requests = 0;
  #ended: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });

  private constructor(socket: Socket, address: string, hello: DestinationHello, requestMs: number) {
    this.#socket = socket;
    this.address = address;
    this.hello = hello;
    this.#requestMs = requestMs;
    this.#framer = new Framer<ReplyHeader>(this.#format(), {
      begin: ({ error, pending }, bytes, start, end) => {
        if (error === 0) pending.resolve(Buffer.from(bytes.subarray(start, end)));
        else pending.reject(this.#error(`refused a request: ${nbdErrorName(error)}`, { refusal: error }));
      },
      part: () => undefined,
    });
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', (error) => this.#lost(why(error)));
    socket.on('end', () => this.#lost('closed the connection'));
    socket.on('close', () => {
      this.#lost('closed the connection');
      this.#ended();
    });
    socket.on('timeout', () => this.#mayBeStalled());
    socket.setTimeout(requestMs);
    socket.resume();
  }

  /**
   * Connects and reads the hello. Rejects with MR_ERR_NBD_MIRROR_CONNECT, MR_ERR_NBD_MIRROR_REJECTED (closed, or no
   * oldstyle server), MR_ERR_NBD_MIRROR_SILENT, MR_ERR_NBD_TLS, or the signal's reason. The socket is closed then.
   */
  static async open(address: Address, options: DestinationOptions = {}): Promise<Destination> {
    const { connectMs, helloMs, requestMs } = { ...destinationTimes, ...options };
    const { signal, bindHost, upgrade } = options;
    const text = addressText(address);
    const plain = await dial(address, {
      timeoutMs: connectMs,
      ...(signal === undefined ? {} : { signal }),
      ...(bindHost === undefined ? {} : { localAddress: bindHost }),
    }).catch((cause: unknown) => {
      signal?.throwIfAborted();
      const reason = cause instanceof MillraceError ? String(cause.facts.why) : why(cause);
      throw new MillraceError('MR_ERR_NBD_MIRROR_CONNECT', { address: text, why: reason }, { cause });
    });
    if (address.path === undefined)
      setKeepAlive(plain, { enabled: true, idleTimeS: 30, probeIntervalS: 10, maxProbeCount: 3 });
    const within = { handshakeMs: helloMs, ...(signal === undefined ? {} : { signal }) };
    const socket = upgrade === undefined ? plain : await inTime(plain, text, within, () => upgrade(plain));
    const hello = await readHello(socket, text, helloMs, signal);
    return new Destination(socket, text, hello, requestMs);
  }

  has(flag: keyof typeof transmissionFlags): boolean {
    return (this.hello.flags & transmissionFlags[flag]) !== 0;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Errors of this and all that follow: MR_ERR_NBD_MIRROR_REPLY, MR_ERR_NBD_MIRROR_STALLED. */
  async write(offset: number, bytes: Buffer): Promise<void> {
    await this.#ask(commandRows.write.code, offset, bytes.length, bytes);
  }

  /** `lengthBytes` come in memory of their own. */
  read(offset: number, lengthBytes: number): Promise<Buffer> {
    return this.#ask(commandRows.read.code, offset, lengthBytes, noBytes, lengthBytes);
  }

  async zero(offset: number, lengthBytes: number): Promise<void> {
    await this.#ask(commandRows.writeZeroes.code, offset, lengthBytes);
  }

  async flush(): Promise<void> {
    await this.#ask(commandRows.flush.code, 0, 0);
  }

  /** Of a millrace listener: belongs to the mirror from now on, and everything of earlier attempts has ended. */
  async join(mirror: number, attempt: number): Promise<void> {
    await this.#ask(peerCommands.join, mirror, attempt);
  }

  /** Of a millrace listener: SHA-256 of what lies there. */
  hash(offset: number, lengthBytes: number): Promise<Buffer> {
    return this.#ask(peerCommands.hash, offset, lengthBytes, noBytes, hashBytes);
  }

  /** Of a millrace listener: where the disk will be served; undefined: not known there. */
  async where(): Promise<string | undefined> {
    const text = await this.#ask(peerCommands.where, 0, whereBytes, noBytes, whereBytes);
    const end = text.indexOf(0);
    return end === 0 ? undefined : text.toString('utf8', 0, end < 0 ? text.length : end);
  }

  /** Throws what is known to be wrong with the connection. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Says, in this very tick, that the disk is the destination's. There is no reply. `closed` tells when it has hung up.
   * Throws MR_ERR_NBD_MIRROR_REPLY if the connection is known to be gone, and nothing was said.
   */
  disconnect(): void {
    this.check();
    this.#failure = this.#error('was told to disconnect');
    this.#socket.end(this.#header(commandRows.disconnect.code, 0, 0));
  }

  /** Says goodbye, if there is anybody, and closes. */
  hangUp(): void {
    if (this.#failure === undefined) this.disconnect();
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#fail(this.#error('is not wanted any more'));
  }

  #ask(
    type: number,
    offset: number,
    length: number,
    payload: Buffer = noBytes,
    dataBytes = 0,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const header = this.#header(type, offset, length);
      this.#pending.set(this.#cookie(), { dataBytes, resolve, reject });
      if (payload.length === 0) {
        this.#socket.write(header);
        return;
      }
      this.#socket.cork();
      this.#socket.write(header);
      this.#socket.write(payload);
      this.#socket.uncork();
    });
  }

  #header(type: number, offset: number, length: number): Buffer {
    this.#requests = (this.#requests + 1) >>> 0;
    return requestHeader.encode({
      magic: requestMagic,
      flags: 0,
      type,
      cookie: this.#cookie(),
      offset: BigInt(offset),
      length,
    });
  }

  /** Of the request made last: a peer sends it back as it is, and people see in a capture whose it is. */
  #cookie(): bigint {
    return mirrorCookie | BigInt(this.#requests);
  }

  #format() {
    return {
      what: 'reply',
      headerBytes: simpleReply.minSizeBytes,
      header: (bytes: Buffer, at: number): ReplyHeader => {
        const { error, cookie } = simpleReply.decode(bytes, at, at + simpleReply.minSizeBytes);
        const pending = this.#pending.get(cookie);
        if (pending === undefined) throw this.#error('answered a request that it was not sent');
        this.#pending.delete(cookie);
        const bodyBytes = error === 0 ? pending.dataBytes : 0;
        return { bodyBytes, collectBytes: bodyBytes, error, pending };
      },
    };
  }

  #read(bytes: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      this.#framer.feed(bytes, 0, bytes.length);
    } catch (error) {
      this.#fail(error instanceof MillraceError ? error : this.#error(why(error)));
    }
  }

  /** Woken by the socket's own timer, which counts bytes of a write that is under way, too. */
  #mayBeStalled(): void {
    if (this.#pending.size === 0 || this.#failure !== undefined) return;
    // a process that was stopped finds its timer first and what came meanwhile after it
    const before = this.#socket.bytesRead;
    setTimeout(() => {
      if (this.#pending.size === 0 || this.#socket.bytesRead !== before) return;
      const seconds = this.#requestMs / 1000;
      this.#fail(new MillraceError('MR_ERR_NBD_MIRROR_STALLED', { address: this.address, seconds }));
    }, 20);
  }

  #lost(reason: string): void {
    this.#fail(this.#error(reason));
  }

  #fail(error: MillraceError): void {
    this.#failure ??= error;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }

  /** `refusal` among the facts: the server's error; the connection goes on. */
  #error(reason: string, more: { refusal?: number } = {}): MillraceError {
    return new MillraceError('MR_ERR_NBD_MIRROR_REPLY', { address: this.address, why: reason, ...more });
  }
}
