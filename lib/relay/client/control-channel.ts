/**
 * The asking end of a control connection. Requests go out without waiting for the replies of those before; replies
 * have no header, so they are told apart by their order alone. Whoever asks is answered, or told why not: the
 * connection broke, the relay said nothing for too long, or what it said was no reply.
 */
import type { Socket } from 'node:net';
import { Fifo } from '../../disk/fifo.ts';
import { MillraceError, relayRet, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Struct } from '../../schema/index.ts';
import {
  type CommandName,
  encodeRequest,
  type ReplyOf,
  type RequestOf,
  replyLayout,
} from '../../wire/relay/index.ts';

interface Awaited {
  command: CommandName;
  layout: Struct<object>;
  /** A return code other than ok is an answer, not a refusal. */
  anyRet: boolean;
  done(reply: object): void;
  failed(error: MillraceError): void;
}

const never = (): void => undefined;
/** Length of the path that ends the replies of variable size, bytes: the last field of their fixed part. */
const lengthBytes = 4;

/** See the file's head. Owns the socket. `onFailed` is called once, with what ended the channel before `end`. */
export class ControlChannel {
  /** Layouts follow it; set once VERSION was answered. */
  minor = 0;
  readonly peer: string;
  /** Called before requests leave: packets go in front of the indexes that describe them. */
  beforeWrite: () => void = never;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #onFailed: (error: MillraceError) => void;
  readonly #awaited = new Fifo<Awaited>();
  #held: Buffer = Buffer.alloc(0);
  #deadline: NodeJS.Timeout | undefined;
  #failed: MillraceError | undefined;
  #ending = false;
  #corked = false;
  #whenFewer: { most: number; resume: () => void; failed: (error: MillraceError) => void }[] = [];

  constructor(
    socket: Socket,
    options: { peer: string; timeoutMs: number; onFailed: (error: MillraceError) => void },
  ) {
    this.#socket = socket;
    this.peer = options.peer;
    this.#timeoutMs = options.timeoutMs;
    this.#onFailed = options.onFailed;
    const lost = (reason: string, cause?: unknown) =>
      this.fail(new MillraceError('MR_ERR_NETWORK_LOST', { peer: this.peer, why: reason }, { cause }));
    socket
      .on('data', (bytes: Buffer) => this.#take(bytes))
      .on('error', (error) => lost(why(error), error))
      .on('end', () => {
        if (!this.#ending) lost(this.#whileWaiting('the relay closed it'));
      })
      .on('close', () => {
        clearTimeout(this.#deadline);
        if (!this.#ending) lost(this.#whileWaiting('closed'));
      })
      .resume();
  }

  /** Requests whose replies are due. */
  get outstanding(): number {
    return this.#awaited.size;
  }

  /**
   * Sends a request; `done` with its reply. `text`: bytes behind the request, counted in its header; given away.
   * A refusal, and everything that goes wrong, fails the channel.
   */
  send<C extends CommandName>(
    command: C,
    request: RequestOf<C>,
    done: (reply: ReplyOf<C>) => void = never,
    text: readonly Buffer[] = [],
  ): void {
    this.#send(command, request, text, { anyRet: false, done: done as never, failed: never });
  }

  /**
   * Asks, and resolves with the reply. `anyRet`: a refusal is an answer too; otherwise it rejects with
   * MR_ERR_CLIENT_REFUSED. Rejects also with MR_ERR_CLIENT_REPLY, MR_ERR_CLIENT_SILENT, MR_ERR_NETWORK_LOST.
   */
  ask<C extends CommandName>(
    command: C,
    request: RequestOf<C>,
    { anyRet = false }: { anyRet?: boolean } = {},
  ): Promise<ReplyOf<C>> {
    return new Promise((resolve, reject) => {
      this.#send(command, request, [], { anyRet, done: resolve as never, failed: reject });
    });
  }

  #send<C extends CommandName>(
    command: C,
    request: RequestOf<C>,
    text: readonly Buffer[],
    then: Pick<Awaited, 'anyRet' | 'done' | 'failed'>,
  ): void {
    if (this.#failed !== undefined) {
      then.failed(this.#failed);
      return;
    }
    const textBytes = text.reduce((sum, { length }) => sum + length, 0);
    this.#cork();
    this.#socket.write(encodeRequest(command, this.minor, request, textBytes));
    for (const bytes of text) this.#socket.write(bytes);
    const layout = replyLayout(command, this.minor) as Struct<object> | undefined;
    if (layout === undefined) return;
    this.#awaited.push({ command, layout, ...then });
    this.#deadline ??= setTimeout(() => this.#late(), this.#timeoutMs);
  }

  /** Requests of one tick leave in one write. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => this.flush());
  }

  /** Sends what waits for the end of the tick. */
  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.beforeWrite();
    this.#socket.uncork();
  }

  /** Resolves when at most `most` replies are due and the socket has taken what was written. */
  async fewer(most = 0): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.outstanding <= most && !this.#socket.writableNeedDrain) return;
    if (this.#socket.writableNeedDrain) await this.#drained();
    if (this.outstanding <= most) return;
    await new Promise<void>((resume, failed) => {
      this.#whenFewer.push({ most, resume, failed });
    });
  }

  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stalled = setTimeout(() => {
        const seconds = this.#timeoutMs / 1000;
        this.fail(new MillraceError('MR_ERR_STAGE_STALLED', { what: `relay ${this.peer}`, seconds }));
      }, this.#timeoutMs);
      const settle = (act: () => void) => () => {
        clearTimeout(stalled);
        this.#socket.off('drain', drained).off('close', closed);
        act();
      };
      const drained = settle(resolve);
      const closed = settle(() => reject(this.#failed));
      this.#socket.on('drain', drained).on('close', closed);
    });
  }

  #take(bytes: Buffer): void {
    let held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    try {
      for (let size = this.#whole(held); size > 0 && this.#failed === undefined; size = this.#whole(held)) {
        // Taken when it is known to be good: who asked is told of a bad reply too.
        const asked = this.#awaited.first as Awaited;
        const reply = asked.layout.decode(held, 0, size);
        held = held.subarray(size);
        if (!asked.anyRet) this.#refuse(asked.command, reply);
        this.#awaited.takeWhile(() => true, 1);
        asked.done(reply);
      }
      if (this.#awaited.size === 0 && held.length > 0 && this.#failed === undefined)
        throw this.#nonsense(`sent ${held.length} bytes that nobody had asked for`);
    } catch (error) {
      this.fail(error instanceof MillraceError ? this.#named(error) : this.#nonsense(why(error)));
      return;
    }
    this.#held = held;
    if (this.#awaited.size > 0) this.#deadline?.refresh();
    else {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    }
    this.#whenFewer = this.#whenFewer.filter((waiting) => {
      if (this.#awaited.size > waiting.most) return true;
      waiting.resume();
      return false;
    });
  }

  /** Size of the reply that is due if it is there whole; 0: it is not, or none is due. */
  #whole(held: Buffer): number {
    const first = this.#awaited.first;
    if (first === undefined) return 0;
    const { fixedSizeBytes, minSizeBytes } = first.layout;
    if (held.length < minSizeBytes) return 0;
    const pathBytes = fixedSizeBytes === undefined ? held.readUInt32BE(minSizeBytes - lengthBytes) : 0;
    if (pathBytes >= limits.replyPathBytes)
      throw this.#nonsense(`answered ${first.command} with a path of ${pathBytes} bytes`);
    const size = minSizeBytes + pathBytes;
    return held.length < size ? 0 : size;
  }

  #refuse(command: CommandName, reply: object): void {
    const { ret } = reply as { ret?: number };
    if (ret === undefined || ret === relayRet.ok) return;
    throw new MillraceError('MR_ERR_CLIENT_REFUSED', { peer: this.peer, command, ret });
  }

  /** Bytes that do not fit the reply's layout. */
  #named(error: MillraceError): MillraceError {
    return error.code.startsWith('MR_ERR_CLIENT') ? error : this.#nonsense(error.message, error);
  }

  #nonsense(reason: string, cause?: unknown): MillraceError {
    return new MillraceError('MR_ERR_CLIENT_REPLY', { peer: this.peer, why: reason }, { cause });
  }

  #whileWaiting(reason: string): string {
    const { first } = this.#awaited;
    return first === undefined ? reason : `${reason} instead of answering ${first.command}`;
  }

  #late(): void {
    const command = this.#awaited.first?.command ?? '';
    const seconds = this.#timeoutMs / 1000;
    this.fail(new MillraceError('MR_ERR_CLIENT_SILENT', { peer: this.peer, command, seconds }));
  }

  /** Ends the channel with an error; who waits for a reply is told. */
  fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
    for (const asked of this.#awaited) asked.failed(error);
    this.#awaited.clear();
    for (const waiting of this.#whenFewer.splice(0)) waiting.failed(error);
    this.#onFailed(error);
  }

  /** Ends the connection in order and resolves when it is closed, or was cut after the deadline. */
  end(): Promise<void> {
    this.#ending = true;
    this.flush();
    return endSocket(this.#socket, this.#timeoutMs);
  }
}

/** Ends a socket in order; cuts it when the other side does not follow within `timeoutMs`. */
export function endSocket(socket: Socket, timeoutMs: number): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const cut = setTimeout(() => socket.destroy(), timeoutMs);
    socket.once('close', () => {
      clearTimeout(cut);
      resolve();
    });
    socket.end();
  });
}
