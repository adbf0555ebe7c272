/**
 * The transmission phase of one connection, as the sink of its socket's bytes. Requests are begun in the order in
 * which they come and answered as they are done; what must wait (too many in flight, no memory for a reply, a client
 * that does not read) holds back the socket, nobody else. Source: nbd-migration, B.7-B.11.
 */
import { Writable } from 'node:stream';
import type { MillraceError } from '../../errors.ts';
import { why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type ByteBatch, releaseBatch } from '../../stage/batch.ts';
import { looseSlab, type SlabPool } from '../../stage/slab.ts';
import { tell } from '../../telemetry.ts';
import type { NbdErrorName } from '../../wire/nbd/index.ts';
import { isReadOnly } from '../export.ts';
import type { Agreement } from './agreement.ts';
import { commands } from './commands.ts';
import type { CommandContext, Counters } from './context.ts';
import type { ExtendedSession } from './extension.ts';
import { faces } from './faces.ts';
import { nbdErrorOf } from './failure.ts';
import { protocolError } from './haggle.ts';
import { type Bounds, judge } from './judge.ts';
import { Outbox } from './outbox.ts';
import { Pieces } from './pieces.ts';
import { isLong } from './read.ts';
import { replyCodecOf } from './reply-codec.ts';
import { type Request, RequestReader } from './request-reader.ts';
import { Unfinished } from './unfinished.ts';
import { type Payload, refuse, Write } from './write.ts';

/**
 * Replies leave together, but not later than when there are so many bytes of them: the client begins to work on the
 * first while the last are made.
 */
const flushBytes = 16_384;

/** What a transmission has of its server. */
export interface TransmissionOptions {
  pieces: SlabPool;
  /** Every change is durable before its reply. */
  durable: boolean;
  peer: string;
  /** Sees every request first. */
  session: ExtendedSession | undefined;
}

/**
 * How it went. `disc`: the client has said goodbye. `stopped`: asked to, between two requests. `lost`: the client was
 * gone without a word. `error`: it broke the protocol, or a reply could not be finished.
 */
export type Ending = { how: 'disc' | 'stopped' | 'lost' } | { how: 'error'; error: MillraceError | Error };

/** See the file's head. `onIdle` is called once, when all that was begun is answered and nothing more will be. */
export class Transmission extends Writable implements CommandContext {
  readonly image;
  readonly sizeBytes;
  readonly contexts;
  readonly codec;
  readonly outbox: Outbox;
  readonly pieces: Pieces;
  durable: boolean;
  readonly counters: Counters = { requests: 0, failed: 0, bytesRead: 0, bytesWritten: 0 };
  readonly #agreement: Agreement;
  readonly #bounds: Bounds;
  readonly #peer: string;
  readonly #session: ExtendedSession | undefined;
  readonly #reader: RequestReader;
  /** Data of a WRITE that is coming in. */
  #payload: Payload | undefined;
  #batch: ByteBatch | undefined;
  #isKept = false;
  #taken: () => void = () => undefined;
  #advancing = false;
  readonly #unfinished: Unfinished;
  #ending: Ending | undefined;
  readonly #onEnd: (ending: Ending) => void;
  #ended = false;

  constructor(agreement: Agreement, options: TransmissionOptions, onEnd: (ending: Ending) => void) {
    // with 1 every read of the socket would stop it, and start it again a tick later
    super({ objectMode: true, highWaterMark: 2 });
    const { contexts, extended, face, served, sizeBytes, socket, structured } = agreement;
    this.#agreement = agreement;
    this.#onEnd = onEnd;
    this.#peer = options.peer;
    this.#session = options.session;
    this.#bounds = { face: faces[face], sizeBytes, readOnly: isReadOnly(served), extended, structured };
    this.#reader = new RequestReader(extended);
    this.image = served.image;
    this.sizeBytes = sizeBytes;
    this.contexts = contexts;
    this.durable = options.durable;
    this.codec = replyCodecOf(agreement);
    this.outbox = new Outbox(socket);
    this.#unfinished = new Unfinished(socket);
    this.pieces = new Pieces(options.pieces);
    socket.on('drain', this.#drained);
  }

  /** Requests that were begun and are not answered. */
  get inFlight(): number {
    return this.#unfinished.running + (this.#payload === undefined ? 0 : 1);
  }

  /** Since when the oldest unfinished request is at work, by `performance.now()`; undefined: none is. */
  get busySinceMs(): number | undefined {
    return this.#unfinished.sinceMs;
  }

  /** Ends it once the request that is coming in, if any, and those in flight are answered. */
  stop(): void {
    if (this.#payload === undefined && this.#reader.heldBytes === 0) this.#end({ how: 'stopped' });
    else this.#stopping = true;
  }
  #stopping = false;

  override _write(batch: ByteBatch, _encoding: string, taken: () => void): void {
    this.#batch = batch;
    this.#isKept = false;
    this.#taken = taken;
    this.#advance();
  }

  /** The client has ended its side. */
  override _final(callback: () => void): void {
    this.#end({ how: 'lost' });
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { socket } = this.#agreement;
    socket.off('drain', this.#drained);
    this.outbox.close();
    this.pieces.close();
    if (this.#batch !== undefined) releaseBatch(this.#batch);
    this.#batch = undefined;
    this.#payload = undefined;
    this.#ending ??= error === null ? { how: 'lost' } : { how: 'error', error };
    this.#announce();
    callback(error);
  }

  run(request: Request, work: () => Promise<void>): void {
    this.#unfinished.begin(request);
    void work()
      .catch((error: unknown) => this.failWith(request, error))
      .finally(() => {
        this.#unfinished.end(request);
        this.#answered();
      });
  }

  runAlone(request: Request, work: () => Promise<void>): void {
    this.#isAlone = true;
    this.run(request, () =>
      work().finally(() => {
        this.#isAlone = false;
      }),
    );
  }
  #isAlone = false;

  fail(request: Request, error: NbdErrorName, message: string): void {
    this.counters.failed += 1;
    this.codec.failed(this.outbox, request, error, message);
    const name = request.command?.name ?? 'request';
    tell('debug', 'nbd:refused', `${this.#peer}: ${name} answered with ${error}: ${message}`);
  }

  failWith(request: Request, error: unknown): void {
    if (this.destroyed) return;
    const answer = nbdErrorOf(error);
    this.fail(request, answer, why(error));
    // no message of an image's own fault is lost, but a full disk is not told a thousand times
    if (answer === 'ENOTSUP' || this.counters.failed > 1) return;
    tell('error', 'nbd:request-failed', `${this.#peer}: ${request.command?.name} failed: ${why(error)}`);
  }

  abort(error: Error): void {
    this.destroy(error);
  }

  /** Something was answered later than it came. */
  #answered(): void {
    if (this.destroyed) return;
    this.outbox.flushSoon();
    this.#advance();
    this.#rest();
  }

  readonly #drained = (): void => {
    this.outbox.drained();
    this.#advance();
    this.#rest();
  };

  /** Works through the batch as far as it may. */
  #advance(): void {
    const batch = this.#batch;
    if (batch === undefined || this.#advancing) return;
    this.#advancing = true;
    const isDone = this.#consume(batch);
    this.#advancing = false;
    this.outbox.flush();
    if (!isDone) {
      this.#keep(batch);
      return;
    }
    const isPartial = this.#payload !== undefined || this.#reader.heldBytes > 0;
    this.#unfinished.isPartial(isPartial, this.counters.requests);
    // destroyed meanwhile: given back there
    if (this.#batch === undefined) return;
    this.#batch = undefined;
    releaseBatch(batch);
    this.#rest();
    this.#taken();
  }

  /** What waits does not keep a slab of the pool: it is copied, which is little. */
  #keep(batch: ByteBatch): void {
    if (this.#batch === undefined || this.#isKept) return;
    this.#isKept = true;
    const rest = Buffer.from(batch.slab.bytes.subarray(batch.start, batch.end));
    releaseBatch(batch);
    this.#batch = { slab: looseSlab(rest), start: 0, end: rest.length };
  }

  /** True when all of the batch is consumed; false: the rest has to wait. */
  #consume(batch: ByteBatch): boolean {
    const { slab, end } = batch;
    for (;;) {
      if (this.#ending !== undefined) return true;
      if (this.#payload !== undefined) {
        const stop = Math.min(end, batch.start + this.#payload.leftBytes);
        this.#payload.take(slab, batch.start, stop);
        batch.start = stop;
        if (this.#payload?.leftBytes === 0) this.#payload = undefined;
      }
      if (this.#payload === undefined && this.#reader.request === undefined && this.#stopping)
        if (this.#reader.heldBytes === 0) this.#end({ how: 'stopped' });
      if (this.#ending !== undefined) return true;
      if (this.#reader.request === undefined && batch.start < end)
        batch.start = this.#reader.take(slab.bytes, batch.start, end);
      const { request } = this.#reader;
      if (request !== undefined) {
        if (!this.#begin(request)) return false;
        this.#reader.next();
        if (this.outbox.queuedBytes >= flushBytes) this.outbox.flush();
      } else if (batch.start === end) return true;
    }
  }

  /** False: not now. */
  #begin(request: Request): boolean {
    if (this.#isAlone || (this.#unfinished.running > 0 && isLong(this, request))) return false;
    if (this.#reader.isForeign) {
      this.#foreign(request);
      return true;
    }
    if (this.#unfinished.running >= limits.nbdRequestsInFlight || this.outbox.isFull) return false;
    if (this.#session?.begin(this, request) === true) {
      this.counters.requests += 1;
      return true;
    }
    const verdict = judge(request, this.#bounds);
    if ('close' in verdict) {
      this.destroy(protocolError(this.#peer, verdict.close));
      return true;
    }
    const { payloadBytes } = request;
    if ('error' in verdict) {
      if (payloadBytes === 0) this.fail(request, verdict.error, verdict.why);
      else this.#payload = refuse(this, request, verdict.error, verdict.why);
    } else {
      const { name } = verdict.go;
      if (name === 'disconnect') this.#end({ how: 'disc' });
      else if (name !== 'write') {
        if (!commands[name](this, request)) {
          this.pieces.whenFree(() => this.#advance());
          return false;
        }
      } else if (payloadBytes > 0) this.#payload = new Write(this, request);
      else this.codec.done(this.outbox, request);
    }
    this.counters.requests += 1;
    return true;
  }

  #foreign(request: Request): void {
    const error = protocolError(this.#peer, 'bytes that begin no request');
    const { wrongMagic } = this.#bounds.face;
    if (wrongMagic !== undefined) this.codec.failed(this.outbox, request, wrongMagic, '');
    this.#end({ how: 'error', error });
  }

  /** Nothing more is begun. */
  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#payload = undefined;
    this.#rest();
  }

  /** Nothing is at work: no memory is held, and if it is to end, it has. */
  #rest(): void {
    if (this.#unfinished.running > 0) return;
    if (this.#payload === undefined && this.#batch === undefined) this.pieces.rest();
    if (this.#ending === undefined || this.#advancing) return;
    this.outbox.flush();
    this.#announce();
  }

  #announce(): void {
    if (this.#ended || this.#ending === undefined) return;
    this.#ended = true;
    this.#onEnd(this.#ending);
  }
}
