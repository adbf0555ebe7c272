/**
 * The asking end of a live connection: one request at a time, as every relay can take it. Bytes behind a reply are read
 * straight into the memory of whoever asked.
 */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { addressText } from '../../network/address.ts';
import { dial } from '../../network/dial.ts';
import {
  connectionTypes,
  encodeViewerRequest,
  millrace,
  newestViewerMinor,
  type ViewerCommandName,
  type ViewerReplyOf,
  type ViewerRequestOf,
  viewerReplyBytes,
  viewerReplyLayout,
} from '../../wire/live/index.ts';
import type { LiveOptions } from './options.ts';

/** See the file's head. Errors of all methods: MR_ERR_NETWORK_LOST, MR_ERR_WIRE_*, the signal's reason. */
export class ViewerChannel {
  readonly peer: string;
  /** What both sides speak. */
  minor = newestViewerMinor;
  /** A number that names the relay's process, if that is millrace: then private commands may be used. */
  relayProcess: bigint | undefined;
  readonly #socket: Socket;
  readonly #replyMs: number;
  readonly #signal: AbortSignal | undefined;
  #held: Buffer = Buffer.alloc(0);
  #ended: MillraceError | undefined;
  #wake: () => void = () => {};

  private constructor(socket: Socket, { address, replyMs, signal }: LiveOptions) {
    this.peer = `live ${addressText(address)}`;
    this.#socket = socket;
    this.#replyMs = replyMs ?? limits.replySeconds * 1000;
    this.#signal = signal;
    socket.on('readable', () => this.#wake());
    socket.on('end', () => this.#lose('the relay closed the connection'));
    socket.on('error', (error) => this.#lose(why(error)));
    socket.on('close', () => this.#lose('the connection was closed'));
  }

  /**
   * Connects and agrees on a version. Errors, beside those of the class: MR_ERR_NETWORK_DIAL, MR_ERR_LIVE_VERSION for
   * a major version other than 2.
   */
  static async open(options: LiveOptions): Promise<ViewerChannel> {
    const timeoutMs = options.replyMs ?? limits.replySeconds * 1000;
    const { address, signal } = options;
    const socket = await dial(address, { timeoutMs, ...(signal && { signal }) });
    const channel = new ViewerChannel(socket, options);
    try {
      await channel.#connect();
      return channel;
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    const { viewerSessionId } = millrace;
    const request = { viewerSessionId, major: 2, minor: newestViewerMinor };
    const reply = await this.ask('connect', { ...request, connectionType: connectionTypes.command });
    if (reply.major !== 2)
      throw new MillraceError('MR_ERR_LIVE_VERSION', { peer: this.peer, got: reply.major, expected: 2 });
    this.minor = Math.min(reply.minor, newestViewerMinor);
    if (reply.connectionType === millrace.connectionType) this.relayProcess = reply.viewerSessionId;
  }

  /** Sends a request and reads the reply to it, or the head of one that bytes follow. */
  async ask<C extends ViewerCommandName>(command: C, request: ViewerRequestOf<C>): Promise<ViewerReplyOf<C>> {
    if (this.#ended !== undefined) throw this.#ended;
    this.#socket.write(encodeViewerRequest(command, this.minor, request));
    const deadlineMs = performance.now() + this.#replyMs;
    const { minor } = this;
    for (;;) {
      const bytes = viewerReplyBytes(command, minor, this.#held, 0, this.#held.length);
      if (bytes <= this.#held.length) {
        const reply = viewerReplyLayout(command, minor).decode(this.#held, 0, bytes);
        this.#held = this.#held.subarray(bytes);
        return reply;
      }
      // Lists may be long: what is needed next is asked for in one piece.
      const more = await this.#more(command, deadlineMs);
      this.#held = this.#held.length === 0 ? more : Buffer.concat([this.#held, more]);
    }
  }

  /** Reads the bytes behind a reply into `target`, which is filled whole. */
  async bytes(target: Buffer): Promise<void> {
    let deadlineMs = performance.now() + this.#replyMs;
    for (let at = 0; at < target.length; ) {
      if (this.#held.length === 0) {
        this.#held = await this.#more('bytes', deadlineMs);
        // A slow line is no silence.
        deadlineMs = performance.now() + this.#replyMs;
      }
      const taken = Math.min(this.#held.length, target.length - at);
      this.#held.copy(target, at, 0, taken);
      this.#held = this.#held.subarray(taken);
      at += taken;
    }
  }

  /** `leaving`: sessions that are still attached, of which the relay is not to keep our places. */
  close(leaving: Iterable<bigint> = []): void {
    const isOpen = this.#ended === undefined;
    this.#lose('closed');
    if (isOpen)
      for (const sessionId of leaving)
        this.#socket.write(encodeViewerRequest('detachSession', this.minor, { sessionId }));
    this.#socket.destroy();
  }

  #lose(reason: string): void {
    this.#ended ??= new MillraceError('MR_ERR_NETWORK_LOST', { peer: this.peer, why: reason });
    this.#wake();
  }

  async #more(what: string, deadlineMs: number): Promise<Buffer> {
    for (;;) {
      this.#signal?.throwIfAborted();
      const bytes = this.#socket.read() as Buffer | null;
      if (bytes !== null) return bytes;
      if (this.#ended !== undefined) throw this.#ended;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        this.#lose(`no reply to ${what} in ${this.#replyMs} ms`);
        this.#socket.destroy();
      } else await this.#news(leftMs);
    }
  }

  /** Until something has come, or the time is over, or the wait is called off. */
  #news(mostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#signal?.removeEventListener('abort', done);
        this.#wake = () => {};
        resolve();
      };
      // What came while this process was held up is read first.
      const timer = setTimeout(() => setImmediate(done), mostMs);
      this.#signal?.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
