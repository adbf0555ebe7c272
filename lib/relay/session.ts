/**
 * What the relay keeps of its producers: sessions (one for each consumer daemon of a tracing session), and
 * streams by handle. A session is bound to its own pair of connections: nobody else can add to it.
 */
import { MetadataWriter } from '../disk/metadata-writer.ts';
import type { TraceWriter } from '../disk/stream-table.ts';
import type { TraceStore } from '../disk/trace-store.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import { LiveSession } from './viewer/live-session.ts';

/** Streams of one path are one CTF trace and share one metadata. */
export interface CtfTrace {
  metadata: TraceWriter | undefined;
}

/** One stream of a session, from ADD_STREAM until its files are closed. */
export interface RelayStream {
  readonly handle: number;
  readonly session: RelaySession;
  readonly writer: TraceWriter;
  readonly trace: CtfTrace;
  /** Set by a data-pending or quiescent question, cleared by its begin. */
  asked: boolean;
}

/** A connection, as far as a session needs to know it. */
export interface Owner {
  /** Address and port, for people. */
  readonly peer: string;
  readonly address: string;
  /** The control connection of its session is gone. */
  controlEnded?(): void;
  /** Ends it now. */
  destroy(): void;
}

/** What a producer's connection tells of itself, each once. */
export interface ConnectionEvents<C> {
  /** It belongs to a session from now on. */
  joined(connection: C): void;
  /** It is gone. */
  ended(connection: C): void;
}

/** See the file's head. */
export class RelaySession {
  readonly id: number;
  readonly open: SessionOpen;
  readonly owner: Owner;
  readonly createdMs = Date.now();
  readonly streams = new Map<number, RelayStream>();
  /** What viewers may see; undefined: the session is not live. */
  readonly live: LiveSession | undefined;
  /** By the path that the producer gave. */
  readonly traces = new Map<string, CtfTrace>();
  /** Metadata versions by stream handle: +1 with each regeneration. */
  readonly metadataVersions = new Map<number, number>();
  readonly #store: TraceStore;
  readonly #onEnded: (session: RelaySession) => void;
  readonly #inFlightMs: number;
  /** The data connection, from its first packet on. */
  #data: Owner | undefined;
  #dataEnded = false;
  #controlEnded = false;
  #aborted = false;
  /** Its streams are being closed as they are. */
  #givenUp = false;
  #ended = false;
  #grace: NodeJS.Timeout | undefined;
  totals = { packets: 0, bytes: 0, metadataBytes: 0 };

  constructor(
    open: SessionOpen,
    owner: Owner,
    store: TraceStore,
    inFlightMs: number,
    onEnded: (session: RelaySession) => void,
  ) {
    this.id = open.session;
    this.open = open;
    this.owner = owner;
    this.live = open.liveTimerUs > 0 ? new LiveSession(open) : undefined;
    this.#store = store;
    this.#inFlightMs = inFlightMs;
    this.#onEnded = onEnded;
  }

  /** Directory of the session, relative to the output directory; empty for producers before 2.11. */
  get path(): string {
    return this.#store.session(this.id)?.path.join('/') ?? '';
  }

  /** Under which it may be taken up again; undefined: it cannot be. */
  get token(): string | undefined {
    return this.#store.session(this.id)?.token;
  }

  get connected(): boolean {
    return !this.#controlEnded;
  }

  get bound(): boolean {
    return this.#data !== undefined;
  }

  /**
   * A data connection brings its first packet for this session. Returns whether it may: it must be the first
   * one that does, and come from where the control connection comes from.
   */
  bindData(owner: Owner): boolean {
    if (this.#data === owner) return true;
    if (this.#data !== undefined || owner.address !== this.owner.address) return false;
    this.#data = owner;
    return true;
  }

  /** The data connection is gone; `aborted`: by an error. What is complete stays open for its indexes. */
  dataEnded(aborted: boolean): void {
    this.#dataEnded = true;
    if (aborted) this.abort();
    else this.#settle();
  }

  /**
   * The control connection is gone, `aborted` if it did not end in good order. Whatever it was that ended it:
   * packets that were announced may still come for a while.
   */
  controlEnded(aborted: boolean): void {
    this.#controlEnded = true;
    this.#aborted ||= aborted;
    this.live?.end();
    this.#data?.controlEnded?.();
    this.#settle();
  }

  /** Takes up a stream whose files are open. */
  addStream(handle: number, path: string, writer: TraceWriter): RelayStream {
    const trace = this.traces.get(path) ?? { metadata: undefined };
    this.traces.set(path, trace);
    if (writer instanceof MetadataWriter) trace.metadata = writer;
    const stream = { handle, session: this, writer, trace, asked: false };
    this.streams.set(handle, stream);
    this.live?.add(handle, path, writer);
    return stream;
  }

  /** A stream's files are closed. */
  streamClosed(handle: number): void {
    const stream = this.streams.get(handle);
    if (stream === undefined) return;
    const { packets, bytes, metadataBytes } = stream.writer.ledger;
    this.totals.packets += packets;
    this.totals.bytes += bytes;
    this.totals.metadataBytes += metadataBytes;
    this.streams.delete(handle);
    this.live?.closed(handle);
    this.#settle();
  }

  /** Gives up every stream as it is: the producer broke the protocol, or the relay ends. */
  abort(): void {
    this.#aborted = true;
    this.#givenUp = true;
    for (const handle of this.streams.keys()) this.#store.abandonStream(handle);
    this.#settle();
  }

  /** As `abort`, and ends its connections: somebody else goes on with it. */
  cut(): void {
    this.abort();
    this.owner.destroy();
    this.#data?.destroy();
  }

  /** Decides what remains to be waited for once a connection is gone. */
  #settle(): void {
    if (this.#ended) return;
    if (this.#controlEnded && this.streams.size === 0) {
      this.#end();
      return;
    }
    if (this.#givenUp || (!this.#controlEnded && !this.#dataEnded)) return;
    if (this.#controlEnded && (this.#dataEnded || !this.#mayStillCome())) {
      this.abort();
      return;
    }
    // One half of the pair lives: it gets a limited time to bring what belongs to what the other brought.
    this.#grace ??= this.#giveUpLater();
  }

  /** It is not the producer's fault when packets wait for space: then its time begins anew. */
  #giveUpLater(): NodeJS.Timeout {
    const giveUp = () => {
      if (this.#store.context.space.waiting === 0) this.abort();
      else this.#grace = this.#giveUpLater();
    };
    return setTimeout(giveUp, this.#inFlightMs).unref();
  }

  #mayStillCome(): boolean {
    if (this.#data !== undefined) return true;
    return [...this.streams.values()].some(({ writer }) => 'awaitsData' in writer && writer.awaitsData);
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#grace);
    const outcome = this.#aborted ? 'abort' : 'end';
    this.#store.accept({ kind: 'sessionEnd', session: this.id, outcome });
    const { sessionName, hostname } = this.open;
    const { packets, bytes } = this.totals;
    tell(
      'info',
      'relay:session-end',
      `session ${this.id} ${hostname}/${sessionName} ended: ${packets} packets, ${bytes} bytes`,
      {
        session: this.id,
        outcome,
        packets,
        bytes,
        metadataBytes: this.totals.metadataBytes,
      },
    );
    this.#onEnded(this);
  }
}
