/**
 * Brings a spool to the next relay, however often that goes away: connects, tells what stands open at the first frame
 * that is not acknowledged, sends from there on, asks now and then what is stored, and lets the spool forget that. After
 * an outage it begins anew; what has been sent and not acknowledged may then lie there twice, which is told.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isAfter } from '../../disk/ledger.ts';
import type { Spool } from '../../disk/spool.ts';
import { readSpool, type SpoolPart } from '../../disk/spool-reader.ts';
import { MillraceError, why } from '../../errors.ts';
import { type FrameBatch, releaseBatch } from '../../stage/batch.ts';
import type { Frame, SessionOpen } from '../../stage/frames.ts';
import { Standing } from '../../stage/standing.ts';
import { tell } from '../../telemetry.ts';
import type { RelaySink, Resumes } from '../client/options.ts';
import { relaySink } from '../client/relay-sink.ts';
import type { ForwardTarget, ShipperStatus } from './options.ts';
import { type SessionThere, type StoredThere, sessionThere } from './stored-there.ts';

const nothing: StoredThere = new Map();
const gone = { stage: 'relay client', why: 'it was destroyed' };
const firstRetryMs = 100;
const mostRetryMs = 5000;
const askEveryMs = 100;
/** Names of sessions are bounded; the number behind must stay. */
const longestName = 230;

/** See the file's head. */
export class Shipper {
  /** Segment of the spool that is being sent. */
  reading: number | undefined;
  readonly #spool: Spool;
  readonly #options: ForwardTarget;
  readonly #stop = new AbortController();
  #state: ShipperStatus['state'] = 'connecting';
  #outages = 0;
  #failure: string | undefined;
  /** Packets handed over since the last acknowledgement, by stream: the first and the last. */
  #unsure = new Map<number, { name: string; first: bigint; last: bigint }>();
  /** The same, of attempts before: told when the session has been opened again. */
  #doubled = '';
  readonly #done: Promise<void>;

  constructor(spool: Spool, options: ForwardTarget) {
    this.#spool = spool;
    this.#options = options;
    this.#done = this.#run();
  }

  get status(): ShipperStatus {
    const { sizeBytes: spoolBytes, frames, note } = this.#spool;
    const { uri } = this.#options;
    const { acknowledged } = note;
    const known = { uri, state: this.#state, spoolBytes, outages: this.#outages };
    return { ...known, frames, acknowledged, failure: this.#failure };
  }

  /** Resolves when the next relay has everything and the spool is gone, or the shipper was stopped. Never rejects. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Ends now; the spool stays as it is. */
  stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    return this.#done;
  }

  async #run(): Promise<void> {
    const { uri, retryMs = firstRetryMs, longestRetryMs = mostRetryMs } = this.#options;
    const { signal } = this.#stop;
    let pauseMs = retryMs;
    while (!signal.aborted) {
      const before = this.#spool.note.acknowledged;
      try {
        await this.#attempt();
        this.#state = 'done';
        this.#spool.remove();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#outage(uri, error);
        if (this.#spool.note.acknowledged > before) pauseMs = retryMs;
        this.#state = 'waiting';
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(longestRetryMs, pauseMs * 2);
      }
    }
  }

  #outage(uri: string, error: unknown): void {
    const reason = why(error);
    const { sizeBytes } = this.#spool;
    // An hour of the same is one line.
    if (reason !== this.#failure)
      tell(
        'warn',
        'forward:outage',
        `${uri}: ${reason}; ${sizeBytes} bytes wait in ${this.#spool.directory}`,
        {
          uri,
          spoolBytes: sizeBytes,
        },
      );
    this.#failure = reason;
    this.#outages += 1;
  }

  /** One connection, from the first frame that is not acknowledged to the end, or to whatever fails. */
  async #attempt(): Promise<void> {
    this.#state = 'connecting';
    const from = this.#spool.note.acknowledged;
    if (this.#unsure.size > 0) this.#doubled = rangesOf(this.#unsure);
    this.#unsure.clear();
    let isOpen = false;
    const standing = new Standing();
    const { resume, stored = nothing, lastPacketSeqNums } = await this.#there();
    if (lastPacketSeqNums !== undefined) standing.begins(lastPacketSeqNums);
    let sink: RelaySink | undefined;
    let sent = from;
    let writing = false;
    let asking: Promise<void> | undefined;
    let askedMs = 0;
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, failed.signal]);

    const ask = (): void => {
      const isDue = performance.now() - askedMs >= askEveryMs;
      if (sink === undefined || !isDue || asking !== undefined || writing) return;
      // Where a session cannot be resumed, packets go again with their metadata, without which nobody can read them.
      const { isMillrace, resumes } = sink.progress;
      // What has no indexes is sent again as a whole.
      if (resumes !== 'never' && !standing.isIndexed && !this.#spool.isTight) return;
      const bareSince = isMillrace || this.#spool.isTight ? undefined : standing.bareSince;
      const upTo = Math.min(standing.unfinishedSince ?? sent, bareSince ?? sent);
      if (upTo <= this.#spool.note.acknowledged) return;
      askedMs = performance.now();
      const unsure = this.#unsure;
      this.#unsure = new Map();
      asking = sink.stored().then(
        () => this.#spool.acknowledge(upTo),
        () => {
          this.#unsure = new Map([...this.#unsure, ...unsure]);
        },
      );
      void asking.finally(() => {
        asking = undefined;
      });
    };
    const timer = setInterval(ask, askEveryMs);

    const reading = (segment: number): void => {
      this.reading = segment;
    };
    const open = async (): Promise<RelaySink> => {
      const opened = relaySink({
        ...this.#options,
        signal,
        resume,
        rename: (session, resumes) => this.#named(session, goesOn(resumes)),
      });
      opened.on('error', (error) => failed.abort(error));
      sink = opened;
      for (const batch of standing.opening()) await write(opened, batch);
      return opened;
    };
    const goesOn = (resumes: Resumes): boolean =>
      resumes === 'known' || (resumes === 'new' && resume?.afresh === true);
    const opened = (by: RelaySink): void => {
      if (isOpen || by.progress.minor === 0) return;
      isOpen = true;
      this.#opened(by, goesOn(by.progress.resumes));
    };

    try {
      for await (const part of readSpool(this.#spool, { from, signal, reading })) {
        const own = passBefore(part, from, standing);
        if (own.length === 0) continue;
        const to = sink ?? (await open());
        this.#state = 'sending';
        const first = part.firstFrame + part.frames.length - own.length;
        for (const [at, frame] of own.entries()) this.#note(frame, part, standing, first + at, stored);
        writing = true;
        // Beacons of ours are for readers of a store.
        const frames = own.filter((frame) => frame.kind !== 'sync' && !isStored(frame, stored));
        await write(to, { slab: part.slab?.retain(), frames });
        writing = false;
        opened(to);
        sent = part.firstFrame + part.frames.length;
        ask();
      }
      const to = sink ?? (standing.isEmpty ? undefined : await open());
      if (to === undefined) return;
      opened(to);
      // Who sent was cut short, or the process that received it was.
      await asking;
      const rest = standing.closing();
      if (rest.length > 0) await write(to, { slab: undefined, frames: rest });
      await finish(to);
      this.#unsure.clear();
    } catch (error) {
      // What failed first is why: reading and writing end with it.
      throw failed.signal.aborted ? failed.signal.reason : error;
    } finally {
      clearInterval(timer);
      this.reading = undefined;
      sink?.destroy();
      await asking;
    }
  }

  /** How the session stands at the relay; before it was ever opened there, nobody need be asked. */
  async #there(): Promise<SessionThere> {
    const there = await sessionThere(this.#spool, this.#options, this.#stop.signal);
    if (there.stored !== undefined) this.#doubled = '';
    return there;
  }

  /** Takes note of what is sent, before it is: whether it arrives is not known until it is acknowledged. */
  #note(frame: Frame, { slab }: SpoolPart, standing: Standing, at: number, stored: StoredThere): void {
    standing.take(frame, slab, at);
    if (frame.kind !== 'data' || !frame.last || isStored(frame, stored)) return;
    const { netSeqNum: last, stream } = frame;
    const first = this.#unsure.get(stream)?.first ?? last;
    this.#unsure.set(stream, { name: standing.nameOf(stream), first, last });
  }

  /** A session is open there; unless it goes on, the next one that does not must use another name. */
  #opened({ progress: { outputPath: path } }: RelaySink, goesOn: boolean): void {
    const { uri } = this.#options;
    const part = Number(this.#spool.note.part ?? 0);
    if (goesOn || part > 0) {
      const doubled =
        this.#doubled === ''
          ? 'no packet is there twice'
          : `packets that may be there twice: ${this.#doubled}`;
      tell('warn', 'forward:resumed', `${uri}: goes on in ${path}; ${doubled}`, { uri, path });
    } else if (this.#failure !== undefined) tell('info', 'forward:connected', `${uri}: connected`, { uri });
    this.#failure = undefined;
    this.#doubled = '';
    this.#spool.noted({ part: goesOn ? part : part + 1 });
  }

  /**
   * The session as it is opened: as it was before if it `goesOn`, else under a name of its own, which is noted before it
   * is used. Facts that the producer left out are the same each time.
   */
  #named(open: SessionOpen, goesOn: boolean): SessionOpen {
    const renamed = this.#options.rename?.(open, 'never') ?? open;
    const { note } = this.#spool;
    const part = Number((goesOn ? note.naming : note.part) ?? 0);
    const createdS = Number(note.createdS ?? Math.floor(Date.now() / 1000));
    this.#spool.noted({ naming: part, createdS });
    const { sessiondUuid, idSessiond = 0n, creationTimeS = BigInt(createdS) } = renamed;
    const isNil = /^0*$/.test(sessiondUuid);
    return {
      ...renamed,
      sessionName:
        part === 0 ? renamed.sessionName : `${renamed.sessionName.slice(0, longestName)}-resumed-${part}`,
      sessiondUuid: isNil && typeof note.token === 'string' ? note.token : sessiondUuid,
      idSessiond: idSessiond + (BigInt(part) << 32n),
      creationTimeS,
    };
  }
}

/** What of a part is to be sent; what lies before `from` is only taken note of. */
function passBefore(
  { firstFrame, opening, frames, slab }: SpoolPart,
  from: number,
  standing: Standing,
): Frame[] {
  const before = opening ? frames.length : Math.min(frames.length, Math.max(0, from - firstFrame));
  for (const frame of frames.slice(0, before)) standing.take(frame, slab);
  return frames.slice(before);
}

/** A packet, or a half of one, that the relay has already. */
function isStored(frame: Frame, stored: StoredThere): boolean {
  if (frame.kind !== 'data' && frame.kind !== 'index' && frame.kind !== 'lost') return false;
  const last = stored.get(frame.stream);
  return last !== undefined && !isAfter(frame.netSeqNum, last);
}

function rangesOf(unsure: ReadonlyMap<number, { name: string; first: bigint; last: bigint }>): string {
  return [...unsure.values()].map(({ name, first, last }) => `${name} ${first}-${last}`).join(', ');
}

function write(sink: RelaySink, batch: FrameBatch): Promise<void> {
  return new Promise((resolve, reject) => {
    if (sink.destroyed) {
      // It would not take the batch over.
      releaseBatch(batch);
      reject(sink.errored ?? new MillraceError('MR_ERR_STAGE_FAILED', gone));
      return;
    }
    sink.write(batch, (error) => (error ? reject(error) : resolve()));
  });
}

function finish(sink: RelaySink): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.once('error', reject).once('close', () => {
      if (sink.writableFinished) resolve();
      else reject(new MillraceError('MR_ERR_STAGE_FAILED', gone));
    });
    sink.end();
  });
}
