/**
 * One client, from its connection to its end: negotiation under a deadline, then transmission for as long as it likes.
 * Whatever ends it ends nobody else.
 */
import type { Socket } from 'node:net';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type SocketSource, socketSource } from '../../network/socket-source.ts';
import { compose } from '../../stage/compose.ts';
import type { SlabPool } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import { type Agreement, describe } from './agreement.ts';
import type { Counters } from './context.ts';
import type { ExtendedSession, Extension } from './extension.ts';
import type { Offer } from './haggle.ts';
import { negotiate, sayHello } from './negotiation.ts';
import { type Ending, Transmission } from './transmission.ts';

/** What a connection has of its server. */
export interface ConnectionOptions {
  offer: Offer;
  style: 'newstyle' | 'oldstyle';
  durable: boolean;
  extension: Extension | undefined;
  /** For what comes in, and for replies. */
  slabs: SlabPool;
  pieces: SlabPool;
  scratch: Buffer;
}

/** How a connection ended, for who watches. */
export interface SessionEnd {
  peer: string;
  /** undefined: it never came to transmission. */
  exportName: string | undefined;
  ending: Ending;
  counters: Readonly<Counters>;
}

/** How long a client may take to close its side once ours is closed, milliseconds. */
const lingerMs = 1000;

/**
 * See the file's head. `onEnd` is called once, when nothing is at work any more and the last reply has left; the socket
 * may then wait a little for the client to close its side. `closed` tells when that is over.
 */
export class Connection {
  readonly peer: string;
  readonly startedMs = performance.now();
  readonly closed: Promise<void>;
  #leave: () => void;
  readonly #options: ConnectionOptions;
  #socket: Socket;
  #agreement: Agreement | undefined;
  #transmission: Transmission | undefined;
  #ending: Ending | undefined;
  #session: ExtendedSession | undefined;
  #isStopping = false;

  constructor(socket: Socket, peer: string, options: ConnectionOptions, onEnd: (end: SessionEnd) => void) {
    this.#socket = socket;
    this.peer = peer;
    this.#options = options;
    // the error is what the reader of the socket rejects with
    socket.on('error', () => undefined);
    this.#leave = () => {
      this.#leave = () => undefined;
      const ending = this.#ending ?? { how: 'lost' };
      this.#session?.ended(ending, this.counters);
      onEnd({ peer, exportName: this.#agreement?.served.name, ending, counters: this.counters });
    };
    this.closed = this.#live().finally(() => this.#leave());
  }

  /** undefined while it negotiates. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  get counters(): Readonly<Counters> {
    return this.#transmission?.counters ?? { requests: 0, failed: 0, bytesRead: 0, bytesWritten: 0 };
  }

  get inFlight(): number {
    return this.#transmission?.inFlight ?? 0;
  }

  /** Since when its oldest request is unfinished. */
  get busySinceMs(): number | undefined {
    return this.#transmission?.busySinceMs;
  }

  /** Ends it after the requests it has begun; at once where there are none. */
  stop(): void {
    this.#isStopping = true;
    if (this.#transmission === undefined) this.#socket.destroy();
    else this.#transmission.stop();
  }

  /** Ends it now, with the reason. */
  cut(error: MillraceError): void {
    this.#ending ??= { how: 'error', error };
    if (this.#transmission === undefined) this.#socket.destroy();
    else this.#transmission.destroy(error);
  }

  async #live(): Promise<void> {
    const { peer } = this;
    try {
      const agreement = await this.#negotiated();
      if (agreement === undefined) return;
      await this.#transmit(agreement);
    } catch (error) {
      this.#ending ??= { how: 'error', error: error as Error };
      // who leaves during the handshake has asked for nothing
      const lost = error instanceof MillraceError && error.code === 'MR_ERR_NETWORK_LOST';
      const [level, code] = [
        lost ? 'debug' : 'warn',
        error instanceof MillraceError ? error.code : undefined,
      ] as const;
      if (!this.#isStopping) tell(level, 'nbd:no-session', `${peer}: ${why(error)}`, { peer }, code);
    } finally {
      await this.#hangUp();
    }
  }

  async #negotiated(): Promise<Agreement | undefined> {
    const { offer, style } = this.#options;
    const seconds = limits.nbdNegotiationSeconds;
    const timer = setTimeout(
      () => this.cut(new MillraceError('MR_ERR_NBD_SLOW_HANDSHAKE', { peer: this.peer, seconds })),
      seconds * 1000,
    );
    try {
      const served = offer.exports.find('');
      if (style === 'oldstyle' && served !== undefined) {
        const { tls } = offer;
        if (tls !== undefined) this.#socket = await tls.upgrade(this.#socket, this.peer);
        return sayHello(this.#socket, served, tls !== undefined, this.#options.extension);
      }
      const agreement = await negotiate(this.#socket, offer, this.peer);
      if (agreement !== undefined) {
        this.#socket = agreement.socket;
        await written(this.#socket);
      }
      return agreement;
    } catch (error) {
      throw this.#ending?.how === 'error' ? this.#ending.error : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the transmission has ended, and its replies have left or cannot. */
  async #transmit(agreement: Agreement): Promise<void> {
    const { durable, pieces, scratch, slabs } = this.#options;
    const { peer } = this;
    // it may have been shut since it was agreed on
    if (this.#isStopping || !this.#options.offer.exports.offers(agreement.served)) return;
    const source: SocketSource = socketSource(agreement.socket, {
      pool: slabs,
      quota: slabs.quota(4),
      scratch,
      name: peer,
      byEvents: agreement.tls,
      expectsMore: true,
    });
    this.#socket = source.socket;
    this.#agreement = { ...agreement, socket: source.socket };
    const { served } = agreement;
    tell('info', 'nbd:session', `${peer} uses "${served.name}" (${describe(agreement)})`, {
      peer,
      exportName: served.name,
    });
    let ended: (ending: Ending) => void = () => undefined;
    const end = new Promise<Ending>((resolve) => {
      ended = resolve;
    });
    this.#session = this.#options.extension?.open(peer, () => transmission.destroy());
    const session = this.#session;
    const transmission = new Transmission(this.#agreement, { pieces, durable, peer, session }, ended);
    this.#transmission = transmission;
    const pipe = compose([
      { name: peer, stream: source },
      { name: 'transmission', stream: transmission },
    ]);
    const ending = await end;
    this.#ending ??= ending;
    const { error } = this.#ending.how === 'error' ? this.#ending : {};
    if (error !== undefined) tell('warn', 'nbd:session-error', why(error), { peer }, codeOf(error));
    else
      tell('info', 'nbd:session-end', `${peer} has ended: ${this.#ending.how}`, { peer, ...this.counters });
    const hungUp = this.#hangUp();
    await finished(this.#socket);
    this.#leave();
    await hungUp;
    await pipe.outcome;
  }

  /** Closes our side, and the connection when the client has closed its own or does not. */
  async #hangUp(): Promise<void> {
    const socket = this.#socket;
    if (socket.closed) return;
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      // without a reader nothing would tell that the client has closed
      if (this.#transmission === undefined) socket.resume();
      socket.end();
    });
    clearTimeout(timer);
  }
}

/** Resolves when everything is with the kernel: what a socket still has does not move to another one. */
async function written(socket: Socket): Promise<void> {
  if (socket.writableLength === 0) return;
  await new Promise<void>((resolve, reject) => {
    socket.write(Buffer.alloc(0), (error) => (error == null ? resolve() : reject(error)));
  });
}

/** Resolves when the last byte of a socket that was ended is with the kernel, or never will be. */
async function finished(socket: Socket): Promise<void> {
  if (socket.writableFinished || socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.once('finish', () => resolve()).once('close', () => resolve());
  });
}

function codeOf(error: Error): MillraceError['code'] | undefined {
  return error instanceof MillraceError ? error.code : undefined;
}
