/**
 * The source of a migration: connects, copies, shuts the clients out, hands over, and begins again after a failure, as
 * long as nobody breaks it off. Every step is one of the table in `states.ts`; `break` and a signal take effect in the
 * tick in which they come.
 *
 * The hand-over is one tick: the file is removed, if that was asked for, and the disconnect request is written. Before it
 * this copy of the disk counts, after it the other one. Source: nbd-migration, D.3 to D.7.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { type Told, tell } from '../../telemetry.ts';
import { Attempt } from './attempt.ts';
import type { Destination } from './destination.ts';
import { type HandedOver, type MirrorOptions, pauseBounds } from './options.ts';
import { Happenings, type MirrorEventName, type MirrorFigures } from './progress.ts';
import { MigrationRun } from './run.ts';
import type { MirrorSource } from './source.ts';
import { isMirroring, type MirrorEvent, type MirrorState, mirrorTable, nextState } from './states.ts';

const retryMs = 1000;
const lingerMs = 5000;

/** See the file's head. One migration at a time. */
export class Mirror {
  readonly happenings = new Happenings();
  readonly #source: MirrorSource;
  #state: MirrorState = 'idle';
  #run: MigrationRun | undefined;
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
    const run = new MigrationRun(options, this.#source.image);
    this.#run = run;
    this.#tell('info', 'connecting', `mirror to ${run.destination}`);
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
    if (!admitted) await this.#letIn();
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
    return this.isMirroring ? this.#run?.figures(this.#state) : undefined;
  }

  /** Attempts until one succeeds, or the signal is aborted. Never rejects. */
  async #attempts(run: MigrationRun, started: () => void, refused: (error: unknown) => void): Promise<void> {
    const { abort, options } = run;
    for (;;) {
      try {
        await this.#connect(run);
        started();
        await this.#copy(run);
        return;
      } catch (error) {
        run.close();
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

  /** D.3; says that it has started. */
  async #connect(run: MigrationRun): Promise<void> {
    const first = await run.connect();
    run.abort.signal.throwIfAborted();
    this.#enter('connected');
    const isResumed = run.transfer !== undefined;
    this.#tell('info', isResumed ? 'resumed' : 'connected', `mirror to ${first.address} has started`, {
      destination: first.address,
      connections: run.links.length,
      millrace: first.hello.peer !== undefined,
      attempt: run.attempts,
      leftBytes: run.transfer?.dirty.dirtyBytes ?? this.#source.image.sizeBytes,
    });
  }

  /** D.4 and D.5. */
  async #copy(run: MigrationRun): Promise<void> {
    const { abort, options, links, limit } = run;
    const { signal } = abort;
    const { image, door } = this.#source;
    await unlessAborted(signal, image.mapped);
    this.#enter('mapReady');
    const transfer = run.watch();
    const attempt = new Attempt({
      image,
      links,
      transfer,
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
    this.#tell('info', 'shutting', 'mirror: clients are shut out', { dirtyBytes: transfer.dirty.dirtyBytes });
    await unlessAborted(signal, door.shut());
    this.#enter('clientsGone');
    this.#tell('debug', 'finishing', 'mirror: the last pass', { dirtyBytes: transfer.dirty.dirtyBytes });
    await attempt.finish();
    signal.throwIfAborted();
    run.mustBe(transfer.dirty.sizeBytes, image.sizeBytes);
    if (options.action === 'nothing') return await this.#return(run);
    this.#enter('sent');
    await unlessAborted(signal, door.stop());
    await this.#handOver(run, servedAt);
  }

  /** The other side has all and is told nothing; this one goes on. */
  async #return(run: MigrationRun): Promise<void> {
    this.#enter('resumed');
    await this.#letIn();
    run.close();
    this.#end(run, 'returned', { pauseMs: performance.now() - run.shutMs });
  }

  async #handOver(run: MigrationRun, servedAt: string | undefined): Promise<void> {
    const { options, links } = run;
    const [first, ...others] = links as [Destination, ...Destination[]];
    for (const link of others) link.destroy();
    first.check();
    // from here to the end of the tick nothing can come between
    const committed = nextState(this.#state, 'closed');
    const unlinked = options.action === 'unlink';
    if (unlinked) this.#source.unlink();
    this.#state = committed;
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
    run.forget();
    this.#gone(handedOver);
  }

  async #failed(run: MigrationRun, error: unknown): Promise<void> {
    const isFirst = this.#state === 'connecting';
    const admitted = this.admits;
    this.#enter('failed');
    const code = error instanceof MillraceError ? error.code : undefined;
    const facts = { why: why(error), attempt: run.attempts };
    if (isFirst) return this.#end(run, 'refused', facts);
    this.#tell('warn', 'retrying', `the mirror failed and is tried again: ${why(error)}`, facts, code);
    if (!admitted) await this.#letIn();
  }

  /** Lets clients in again. Somebody else may sit on the address by now: it is tried with every attempt. */
  async #letIn(): Promise<void> {
    try {
      await this.#source.door.open();
    } catch (error) {
      tell('error', 'nbd:mirror-door', `clients cannot be let in again: ${why(error)}`);
    }
  }

  /** Takes `run` apart; its loop ends by itself, woken by the signal. */
  #end(run: MigrationRun, event: MirrorEventName, facts: Told['facts'] = {}): void {
    run.abort.abort(
      new MillraceError(event === 'stopped' ? 'MR_ERR_NBD_MIRROR_ENDING' : 'MR_ERR_NBD_MIRROR_BROKEN', {}),
    );
    run.forget();
    run.close();
    const level = event === 'returned' ? 'info' : 'warn';
    this.#tell(level, event, `the mirror has ended: ${event}`, facts);
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
    const { name } = this.#source;
    const all = name === undefined ? facts : { ...facts, exportName: name };
    this.happenings.add(event, all as Record<string, string | number | boolean | undefined>);
    tell(level, `nbd:mirror-${event}`, name === undefined ? text : `"${name}": ${text}`, all, code);
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
