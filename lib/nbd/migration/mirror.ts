/**
 * The source of a migration: connects, copies, shuts the clients out, hands over, and begins again after a failure, as
 * long as nobody breaks it off. Every step is one of the table in `states.ts`; `break` and a signal take effect in the
 * tick in which they come.
 *
 * The hand-over is one tick: the file is removed, if that was asked for, and the disconnect request is written. Before it
 * this copy of the disk counts, after it the other one. Source: nbd-migration, D.3 to D.7.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Address, addressText } from '../../network/address.ts';
import { type Told, tell } from '../../telemetry.ts';
import { Attempt, newTransfer, type Transfer } from './attempt.ts';
import { Destination, type DestinationOptions } from './destination.ts';
import { type PauseBounds, RateLimit } from './pace.ts';
import { Happenings, type MirrorEventName, type MirrorFigures } from './progress.ts';
import type { MirrorSource } from './source.ts';
import { isMirroring, type MirrorEvent, type MirrorState, mirrorTable, nextState } from './states.ts';

/** What follows the last byte: this server's end; its end without the file; it goes on and the other learns nothing. */
export type MirrorAction = 'exit' | 'unlink' | 'nothing';

/** What a migration is asked for. */
export interface MirrorOptions extends Omit<DestinationOptions, 'signal'> {
  address: Address;
  action: MirrorAction;
  /** Of the first copy. */
  maxBytesPerSecond?: number;
  pause?: Partial<PauseBounds>;
  /** To a millrace listener: compare by hash before the hand-over. True unless told. */
  verify?: boolean;
  /** To a millrace listener: connections beside each other, at most as many as it allows. */
  connections?: number;
  /** Bytes that clients may change behind the first copy before these are sent first; `limits.mirrorChangedBytes`. */
  changedBytes?: number;
  /** Before a failed attempt is followed by the next. */
  retryMs?: number;
  /** How long to wait, after the hand-over, until the other side has hung up. */
  lingerMs?: number;
}

/** Where the disk has gone. */
export interface HandedOver {
  destination: string;
  /** Where it will be served, where the other side said so. */
  servedAt: string | undefined;
  atMs: number;
  /** For how long clients were shut out, ms. */
  pauseMs: number;
  unlinked: boolean;
}

/** As flexnbd estimates it, and never more than it allows. Source: nbd-migration, D.2. */
export const pauseBounds: PauseBounds = { pauseMs: 50, mostPauseMs: 5000 };

const retryMs = 1000;
const lingerMs = 5000;

/** One migration from its start to its end. */
interface Run {
  options: MirrorOptions;
  /** Names it to a millrace listener: not 0, below 2^48. */
  id: number;
  abort: AbortController;
  limit: RateLimit;
  startedMs: number;
  attempts: number;
  transfer: Transfer | undefined;
  attempt: Attempt | undefined;
  links: Destination[];
  forget: () => void;
  /** When the clients were shut out, by the monotonic clock. */
  shutMs: number;
  ended: Promise<void>;
}

/** See the file's head. One migration at a time. */
export class Mirror {
  readonly happenings = new Happenings();
  readonly #source: MirrorSource;
  #state: MirrorState = 'idle';
  #run: Run | undefined;
  #handedOver: HandedOver | undefined;
  #gone: (where: HandedOver) => void = () => undefined;
  /** Resolves when the disk has changed hands: this server's work is done. */
  readonly gone = new Promise<HandedOver>((resolve) => {
    this.#gone = resolve;
  });

  constructor(source: MirrorSource) {
    this.#source = source;
  }

  get state(): MirrorState {
    return this.#state;
  }

  get isMirroring(): boolean {
    return isMirroring(this.#state);
  }

  /** Whether clients are let in. */
  get admits(): boolean {
    return mirrorTable[this.#state].admits;
  }

  get handedOver(): HandedOver | undefined {
    return this.#handedOver;
  }

  /**
   * Starts a migration and resolves when its first attempt is under way; from then on failures are retried for ever.
   * Rejects when that attempt failed, and nothing is left of it: errors of `Destination.open`, MR_ERR_NBD_MIRROR_SIZE,
   * MR_ERR_NBD_MIRROR_BROKEN; and without any effect with MR_ERR_NBD_MIRROR_RUNNING, MR_ERR_NBD_MIRROR_ENDING.
   */
  async start(options: MirrorOptions): Promise<void> {
    if (this.#state === 'stopped') throw new MillraceError('MR_ERR_NBD_MIRROR_ENDING', {});
    if (this.isMirroring) throw new MillraceError('MR_ERR_NBD_MIRROR_RUNNING', {});
    this.#enter('start');
    const startedMs = performance.now();
    const run: Run = {
      options,
      id: randomInt(1, 2 ** 48 - 1),
      abort: new AbortController(),
      limit: new RateLimit(options.maxBytesPerSecond, startedMs),
      startedMs,
      attempts: 0,
      transfer: undefined,
      attempt: undefined,
      links: [],
      forget: () => undefined,
      shutMs: 0,
      ended: Promise.resolve(),
    };
    this.#run = run;
    this.#tell('info', 'connecting', `mirror to ${addressText(options.address)}`);
    await new Promise<void>((resolve, reject) => {
      run.ended = this.#attempts(run, resolve, reject);
    });
  }

  /** Breaks the migration off, and resolves when nothing is left of it: the next one may start. */
  async break(): Promise<'stopped' | 'completed' | 'not mirroring'> {
    const run = this.#run;
    if (run === undefined || !this.isMirroring) return this.#state === 'done' ? 'completed' : 'not mirroring';
    const admitted = this.admits;
    this.#enter('break');
    if (this.isMirroring) {
      // too late
      await run.ended;
      return 'completed';
    }
    this.#end(run, 'broken');
    if (!admitted) await this.#source.door.open();
    await run.ended;
    return 'stopped';
  }

  /**
   * The server is told to end. No migration starts any more, and one that has not handed over never will. Resolves, when
   * nothing of it is left, with whether one was cut short by this.
   */
  async stop(): Promise<boolean> {
    const run = this.#run;
    const wasMirroring = this.isMirroring && mirrorTable[this.#state].canonical === 'source';
    this.#enter('stop');
    if (run !== undefined && wasMirroring) this.#end(run, 'stopped');
    await run?.ended;
    return wasMirroring;
  }

  /** Changes the limit of the running migration; undefined lifts it. False: there is none. */
  limit(bytesPerSecond: number | undefined): boolean {
    if (this.#run === undefined || !this.isMirroring) return false;
    this.#run.limit.set(bytesPerSecond, performance.now());
    return true;
  }

  /** undefined: no migration. */
  figures(): MirrorFigures | undefined {
    const run = this.#run;
    if (run === undefined || !this.isMirroring) return undefined;
    const { transfer, attempt, options, limit, startedMs, attempts } = run;
    const now = performance.now();
    const leftBytes = transfer?.dirty.dirtyBytes ?? this.#source.image.sizeBytes;
    const bytesPerSecond = attempt?.speed.bytesPerSecond(now) ?? 0;
    return {
      state: this.#state,
      destination: addressText(options.address),
      sizeBytes: this.#source.image.sizeBytes,
      leftBytes,
      sentBytes: transfer?.sentBytes ?? 0,
      pass: transfer?.pass ?? 0,
      attempt: attempts,
      bytesPerSecond,
      secondsLeft: leftBytes === 0 ? 0 : leftBytes / bytesPerSecond,
      durationMs: now - startedMs,
      limitBytesPerSecond: limit.bytesPerSecond,
      holeBytes: attempt?.totals.holeBytes ?? 0,
      verifiedBytes: attempt?.totals.verifiedBytes ?? 0,
    };
  }

  /** Attempts until one succeeds, or the signal is aborted. Never rejects. */
  async #attempts(run: Run, started: () => void, refused: (error: unknown) => void): Promise<void> {
    const { abort, options } = run;
    for (;;) {
      try {
        await this.#connect(run);
        started();
        await this.#copy(run);
        return;
      } catch (error) {
        this.#close(run);
        if (abort.signal.aborted) return refused(abort.signal.reason);
        const isFirst = this.#state === 'connecting';
        await this.#failed(run, error);
        if (isFirst) return refused(error);
      }
      await delay(options.retryMs ?? retryMs, undefined, { signal: abort.signal }).catch(() => undefined);
      if (abort.signal.aborted) return;
      this.#enter('retry');
    }
  }

  /** D.3: connects, reads the hello, compares the sizes; says that it has started. */
  async #connect(run: Run): Promise<void> {
    const { options, abort } = run;
    run.attempts += 1;
    const open = (): Promise<Destination> =>
      Destination.open(options.address, { ...options, signal: abort.signal });
    const first = await open();
    run.links = [first];
    const { sizeBytes } = this.#source.image;
    const { peer, sizeBytes: got } = first.hello;
    if (got !== sizeBytes)
      throw new MillraceError('MR_ERR_NBD_MIRROR_SIZE', { address: first.address, got, expected: sizeBytes });
    if (peer !== undefined) {
      if (peer.owner !== run.id) this.#forget(run);
      await first.join(run.id, run.attempts);
      const more = Math.min(options.connections ?? peer.connections, peer.connections) - 1;
      for (let n = 0; n < more; n += 1) {
        const link = await open();
        run.links.push(link);
        await link.join(run.id, run.attempts);
      }
    } else this.#forget(run);
    abort.signal.throwIfAborted();
    this.#enter('connected');
    const isResumed = run.transfer !== undefined;
    this.#tell('info', isResumed ? 'resumed' : 'connected', `mirror to ${first.address} has started`, {
      destination: first.address,
      connections: run.links.length,
      millrace: peer !== undefined,
      attempt: run.attempts,
      leftBytes: run.transfer?.dirty.dirtyBytes ?? sizeBytes,
    });
  }

  /** What an earlier attempt knows does not hold any more: the next one begins from zero. */
  #forget(run: Run): void {
    run.forget();
    run.forget = () => undefined;
    run.transfer = undefined;
  }

  /** D.4 and D.5. */
  async #copy(run: Run): Promise<void> {
    const { abort, options, links, limit } = run;
    const { signal } = abort;
    const { image, door } = this.#source;
    await unlessAborted(signal, image.mapped);
    this.#enter('mapReady');
    if (run.transfer === undefined) {
      const transfer = newTransfer(image.sizeBytes);
      run.transfer = transfer;
      const { sizeBytes } = transfer.dirty;
      // a disk that has grown is found out before the hand-over
      run.forget = image.onWrite((offset, length) => {
        if (offset < sizeBytes) transfer.dirty.mark(offset, Math.min(length, sizeBytes - offset));
      });
    }
    const attempt = new Attempt({
      image,
      links,
      transfer: run.transfer,
      limit,
      pause: { ...pauseBounds, ...options.pause },
      verify: options.verify ?? true,
      changedBytes: options.changedBytes ?? limits.mirrorChangedBytes,
      signal,
      onPass: ({ pass, dirtyBytes, verdict, seconds }) =>
        this.#tell('debug', 'pass', `mirror: pass ${pass} left ${dirtyBytes} bytes`, {
          pass,
          dirtyBytes,
          verdict,
          seconds,
        }),
    });
    run.attempt = attempt;
    await attempt.converge();
    const servedAt = links[0]?.hello.peer === undefined ? undefined : await links[0].where();
    signal.throwIfAborted();
    this.#enter('converged');
    run.shutMs = performance.now();
    this.#tell('info', 'shutting', 'mirror: clients are shut out', {
      dirtyBytes: run.transfer.dirty.dirtyBytes,
    });
    await unlessAborted(signal, door.shut());
    this.#enter('clientsGone');
    this.#tell('debug', 'finishing', 'mirror: the last pass', { dirtyBytes: run.transfer.dirty.dirtyBytes });
    await attempt.finish();
    signal.throwIfAborted();
    const { sizeBytes: expected } = image;
    const got = run.transfer.dirty.sizeBytes;
    if (got !== expected)
      throw new MillraceError('MR_ERR_NBD_MIRROR_SIZE', { address: links[0]?.address ?? '', got, expected });
    if (options.action === 'nothing') return await this.#return(run);
    this.#enter('sent');
    await unlessAborted(signal, door.stop());
    await this.#handOver(run, servedAt);
  }

  /** The other side has all and is told nothing; this one goes on. */
  async #return(run: Run): Promise<void> {
    this.#enter('resumed');
    await this.#source.door.open();
    this.#close(run);
    this.#end(run, 'returned', { pauseMs: performance.now() - run.shutMs });
  }

  async #handOver(run: Run, servedAt: string | undefined): Promise<void> {
    const { options, links } = run;
    const [first, ...others] = links as [Destination, ...Destination[]];
    for (const link of others) link.destroy();
    first.check();
    // from here to the end of the tick nothing can come between
    const unlinked = options.action === 'unlink';
    if (unlinked) this.#source.unlink();
    this.#enter('closed');
    first.disconnect();
    const pauseMs = performance.now() - run.shutMs;
    const handedOver = { destination: first.address, servedAt, atMs: Date.now(), pauseMs, unlinked };
    this.#handedOver = handedOver;
    await Promise.race([first.closed, delay(options.lingerMs ?? lingerMs)]);
    first.destroy();
    this.#enter('ended');
    const where = servedAt === undefined ? first.address : `${servedAt} (by ${first.address})`;
    this.#tell('info', 'done', `the disk has gone to ${where}`, {
      ...handedOver,
      servedAt,
      sentBytes: run.transfer?.sentBytes,
      verifiedBytes: run.attempt?.totals.verifiedBytes,
      attempts: run.attempts,
    });
    this.#forget(run);
    this.#gone(handedOver);
  }

  async #failed(run: Run, error: unknown): Promise<void> {
    const isFirst = this.#state === 'connecting';
    const admitted = this.admits;
    this.#enter('failed');
    const code = error instanceof MillraceError ? error.code : undefined;
    const facts = { why: why(error), attempt: run.attempts };
    if (isFirst) return this.#end(run, 'refused', facts);
    this.#tell('warn', 'retrying', `the mirror failed and is tried again: ${why(error)}`, facts, code);
    if (!admitted) await this.#source.door.open();
  }

  /** Takes `run` apart; its loop ends by itself, woken by the signal. */
  #end(run: Run, event: MirrorEventName, facts: Told['facts'] = {}): void {
    run.abort.abort(
      new MillraceError(event === 'stopped' ? 'MR_ERR_NBD_MIRROR_ENDING' : 'MR_ERR_NBD_MIRROR_BROKEN', {}),
    );
    this.#forget(run);
    this.#close(run);
    const level = event === 'returned' ? 'info' : 'warn';
    this.#tell(level, event, `the mirror has ended: ${event}`, facts);
  }

  #close(run: Run): void {
    for (const link of run.links.splice(0)) link.destroy();
  }

  #enter(event: MirrorEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #tell(
    level: Told['level'],
    event: MirrorEventName,
    text: string,
    facts: Told['facts'] = {},
    code?: Told['code'],
  ): void {
    this.happenings.add(event, facts as Record<string, string | number | boolean | undefined>);
    tell(level, `nbd:mirror-${event}`, text, facts, code);
  }
}

/** Waits for `work`, or rejects with the signal's reason as soon as it is aborted. */
async function unlessAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  let abort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    abort = resolve;
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
  signal.throwIfAborted();
}
