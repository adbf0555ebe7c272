/**
 * A proxy for clients that do not survive the loss of their server: it connects anew as often as it must and sends the
 * request that was not answered again, whole, from its first byte. One client at a time, one request at a time; further
 * clients wait without a hello. Source: nbd-migration, C.9, L26.
 *
 * Read ahead: a READ is doubled where that fits, and the second half is kept for the next one. Any other command, and any
 * reconnection, empties it.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../../errors.ts';
import type { Address } from '../../network/address.ts';
import { type ListenAddress, type Listener, listenAt } from '../../network/listen.ts';
import { readExactly } from '../../network/read-exactly.ts';
import { narrow } from '../../schema/index.ts';
import { tell } from '../../telemetry.ts';
import {
  commandRows,
  oldstyleHello,
  requestHeader,
  requestMagic,
  simpleReply,
  transmissionFlags,
} from '../../wire/nbd/index.ts';
import type { NbdClientOptions } from '../client/dial-server.ts';
import { type Forwarded, type Reply, readOf, Upstream } from './upstream.ts';

export interface ProxyOptions {
  listen: ListenAddress;
  upstream: NbdClientOptions;
  /** What is read ahead at the most, bytes; 0: nothing. */
  cacheBytes?: number;
  /** How long the server may be silent in one step of a request, ms. */
  silenceMs?: number;
  /** Between two attempts to connect, ms. */
  retryMs?: number;
}

/** What it has done since its start. */
export interface ProxyStatus {
  upstream: string;
  isConnected: boolean;
  sizeBytes: number;
  clients: number;
  requests: number;
  /** Requests that were sent again, and READs that needed none. */
  resent: number;
  fromCache: number;
  reconnections: number;
}

/** Data of one request; one byte more costs the client its connection. Source: nbd-migration, A.4. */
const payloadBytes = 33_554_432;
const defaultTimes = { silenceMs: 30_000, retryMs: 3_000 };

/** See the file's head. */
export class NbdProxy {
  readonly #options: ProxyOptions & typeof defaultTimes;
  readonly #waiting: Socket[] = [];
  readonly #stop = new AbortController();
  #listener: Listener<Address> | undefined;
  #upstream: Upstream;
  #serving: Socket | undefined;
  #wake: () => void = () => undefined;
  #kept: { offset: number; bytes: Buffer } | undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #counts = { requests: 0, resent: 0, fromCache: 0, reconnections: 0 };

  private constructor(options: ProxyOptions, upstream: Upstream) {
    this.#options = { ...defaultTimes, ...options };
    this.#upstream = upstream;
  }

  /** Connects to the server, then listens. Rejects when either fails; nothing is left then. */
  static async start(options: ProxyOptions): Promise<NbdProxy> {
    const upstream = await Upstream.connect(options.upstream, options.silenceMs ?? defaultTimes.silenceMs);
    const proxy = new NbdProxy(options, upstream);
    try {
      proxy.#listener = await listenAt(options.listen, (socket) => proxy.#accept(socket));
    } catch (error) {
      upstream.close();
      throw error;
    }
    proxy.#work = proxy.#serve();
    return proxy;
  }

  get address(): Address | undefined {
    return this.#listener?.address;
  }

  status(): ProxyStatus {
    return {
      upstream: this.#upstream.peer,
      isConnected: !this.#upstream.isLost,
      sizeBytes: this.#upstream.sizeBytes,
      clients: this.#waiting.length + (this.#serving === undefined ? 0 : 1),
      ...this.#counts,
    };
  }

  /** Cuts clients and server. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the proxy ends'));
    this.#listener?.stop();
    for (const socket of [...this.#waiting.splice(0), this.#serving]) socket?.destroy();
    this.#upstream.close();
    this.#wake();
    await this.#work;
    await this.#listener?.close();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const at = this.#waiting.indexOf(socket);
      if (at >= 0) this.#waiting.splice(at, 1);
    });
    this.#waiting.push(socket);
    this.#wake();
  }

  /** One client after the other. */
  async #serve(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const socket = this.#waiting.shift();
      if (socket === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#serving = socket;
      try {
        await this.#session(socket);
      } catch (error) {
        tell('info', 'nbd:proxy-client', `a client has gone: ${why(error)}`);
      }
      socket.destroySoon();
      this.#serving = undefined;
    }
  }

  async #session(socket: Socket): Promise<void> {
    const peer = 'client';
    const { sizeBytes, flags } = this.#upstream;
    // one client, so nothing is promised about several
    const offered = flags & ~(transmissionFlags.canMultiConn | transmissionFlags.sendDf);
    socket.write(
      oldstyleHello.encode({
        sizeBytes: BigInt(sizeBytes),
        handshakeFlags: 0,
        transmissionFlags: offered,
      }),
    );
    for (;;) {
      const header = await readExactly(socket, requestHeader.minSizeBytes, peer);
      const { magic, type, cookie, offset, length } = requestHeader.decode(header);
      if (magic !== requestMagic)
        throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer, why: 'bytes that begin no request' });
      if (type === commandRows.disconnect.code) return;
      const isWrite = type === commandRows.write.code;
      const isRead = type === commandRows.read.code;
      if ((isWrite || isRead) && length > payloadBytes)
        throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer, why: `a request of ${length} bytes` });
      const data = isWrite && length > 0 ? await readExactly(socket, length, peer) : undefined;
      const request = { type, cookie, header, data, length };
      this.#counts.requests += 1;
      const reply = isRead ? await this.#read(socket, request, offset) : await this.#other(socket, request);
      const answer = simpleReply.encode({ error: reply.error, cookie });
      socket.cork();
      socket.write(answer);
      if (reply.data.length > 0) socket.write(reply.data);
      socket.uncork();
    }
  }

  async #other(socket: Socket, request: Forwarded): Promise<Reply> {
    this.#kept = undefined;
    return await this.#forward(socket, request);
  }

  async #read(socket: Socket, request: Forwarded, at: bigint): Promise<Reply> {
    const { length } = request;
    const { cacheBytes = 0 } = this.#options;
    const { sizeBytes } = this.#upstream;
    if (cacheBytes === 0 || at > BigInt(sizeBytes)) return await this.#forward(socket, request);
    const offset = narrow(at, 'offset of a request');
    const kept = this.#kept;
    if (kept !== undefined && offset >= kept.offset && offset + length <= kept.offset + kept.bytes.length) {
      this.#counts.fromCache += 1;
      return { error: 0, data: kept.bytes.subarray(offset - kept.offset, offset - kept.offset + length) };
    }
    this.#kept = undefined;
    if (length === 0 || length > cacheBytes || offset + 2 * length > sizeBytes)
      return await this.#forward(socket, request);
    const both = await this.#forward(socket, readOf(request, offset, 2 * length));
    // what lies behind may be what cannot be read
    if (both.error !== 0) return await this.#forward(socket, request);
    this.#kept = { offset: offset + length, bytes: both.data.subarray(length) };
    return { error: 0, data: both.data.subarray(0, length) };
  }

  /** Until it is answered, by this connection or a later one; rejects when the client has gone. */
  async #forward(socket: Socket, request: Forwarded): Promise<Reply> {
    for (let tries = 0; ; tries += 1) {
      this.#stop.signal.throwIfAborted();
      if (tries > 0) this.#counts.resent += 1;
      try {
        if (this.#upstream.isLost) throw new Error('closed the connection');
        return await this.#upstream.exchange(request);
      } catch (error) {
        tell('warn', 'nbd:proxy-lost', `${this.#upstream.peer} is lost: ${why(error)}`);
        this.#kept = undefined;
        await this.#reconnect(socket);
      }
    }
  }

  async #reconnect(socket: Socket): Promise<void> {
    const { upstream, silenceMs, retryMs } = this.#options;
    const before = this.#upstream;
    before.close();
    const { signal } = this.#stop;
    for (;;) {
      signal.throwIfAborted();
      if (socket.destroyed) throw new Error('it did not wait for the server');
      try {
        this.#upstream = await Upstream.connect({ ...upstream, signal }, silenceMs);
        break;
      } catch (error) {
        tell('info', 'nbd:proxy-retry', `${before.peer} cannot be reached: ${why(error)}`);
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
    this.#counts.reconnections += 1;
    const { sizeBytes, flags, peer } = this.#upstream;
    if (sizeBytes !== before.sizeBytes || flags !== before.flags)
      tell('warn', 'nbd:proxy-changed', `${peer} has come back with another size or other flags`, {
        sizeBytes,
        before: before.sizeBytes,
      });
    tell('info', 'nbd:proxy-back', `${peer} is back`);
  }
}
