/**
 * The committed store: takes frames, keeps sessions, trace chunks and streams below one output directory, and
 * tells by ledgers how far each stream is. It is the only writer of its files.
 *
 * Control facts are accepted one by one and at once, so that whoever answers a producer knows that they hold;
 * bytes come in batches through `chunkWriter`. What a batch made (index records) is written by `flush`.
 */
import { existsSync, rmSync } from 'node:fs';
import { type IndexFormat, type IndexRecord, indexFormatAt } from '../ctf/index-file.ts';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import type { ChunkDone, Frame, Index, Metadata, SessionOpen, StreamOpen, Switch } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { below } from './chunk-places.ts';
import { type ChunkHolder, ChunkRegistry, type CompleteChunk } from './chunk-registry.ts';
import { DescriptorPool } from './descriptor-pool.ts';
import { makeDirectory } from './directories.ts';
import { lastRecordOf } from './last-record.ts';
import { MetadataWriter } from './metadata-writer.ts';
import { checkComponent, checkPath, ownPrefix } from './names.ts';
import { Pace } from './pace.ts';
import type { ResumeBook } from './resume-book.ts';
import { checkNames, type Grouping, oldStreamPath, sessionPath } from './session-path.ts';
import { Space } from './space.ts';
import type { ChunkJournal, Durability, StoreContext, StoreJournal } from './store-context.ts';
import { StreamWriter } from './stream-writer.ts';
import { SuspensionMarks } from './suspension-marks.ts';
import type { TraceChunk } from './trace-chunk.ts';
import { Turns } from './turns.ts';

export interface StoreOptions {
  /** Absolute; exists. */
  outputPath: string;
  grouping: Grouping;
  locks: RangeLocks | undefined;
  journal: StoreJournal & ChunkJournal & { frame(frame: Frame): void };
  durability: Durability;
  /** Bytes of free space kept for metadata and indexes; 0: none. */
  reserveBytes: number;
  /** Descriptors of the whole process; absent: no bound. */
  fdPoolSize?: number;
  /** Another directory for a session than `path`, components below the output directory; absent: that one. */
  placeOf?(open: SessionOpen, path: readonly string[]): string[];
  /** Whether a stream of a producer before 2.11, which names its own directory, may replace files that are there. */
  replaces?: boolean;
  /** A stream's files are closed, its handle is free. */
  onStreamClosed(handle: number): void;
  /** Whether a session only passes: what is kept of it is short, out of the way, and goes with it. */
  isPassing?(session: number): boolean;
  /** Told of each frame that was accepted, with its bytes; data frames come another way. */
  onFrame?(frame: Frame, slab: Slab | undefined): void;
  /** Called in the tick in which the chunk's last user leaves it; chunks of producers before 2.11 are not told of. */
  onChunkComplete(chunk: CompleteChunk): void;
}

/** What the store knows of one session (of one relay session: one consumer daemon's part). */
export interface StoredSession extends ChunkHolder {
  /** Seconds since 1970, the relay's clock. */
  readonly openedS: number;
  readonly streams: Set<number>;
  readonly isPassing: boolean;
  /** It may be taken up again, under this token. */
  readonly token: string | undefined;
  /** Its directory as producers are told of it. */
  readonly shownPath: string;
  /** What the producer was told of the chunk it closed last. */
  closedPath: string;
}

/** How a session opens that may be taken up again. `afresh`: from its beginning, in place of what is there. */
export interface Resumable {
  token: string;
  afresh: boolean;
}

/** The chunks that a stream uses. */
interface UsedChunks {
  /** undefined: it has left its chunk for none. */
  current: TraceChunk | undefined;
  /** While it goes over: the one it goes to. */
  next: TraceChunk | undefined;
}

/** A writer of either kind. */
export type TraceWriter = StreamWriter | MetadataWriter;

/** Where sessions lie that only pass; below the output directory. */
export const passingPath: readonly string[] = [ownPrefix, 'passing'];

function passedKey(path: readonly string[], components: readonly string[], channelName: string): string {
  return [path.join('/'), components.join('/'), channelName].join('\0');
}

/** A path as producers are told of it. */
export function shownPath(path: string): string {
  const passing = `${passingPath.join('/')}/`;
  return path.startsWith(passing) ? path.slice(passing.length) : path;
}

/** What is kept of a session that only passes: of a live one the last packets, for viewers. */
const passingRing = { tracefileSizeBytes: 4_194_304n, tracefileCount: 2n } as const;
/** Of any other the index of the last packets. */
const hollowRing = { tracefileSizeBytes: 1_073_741_824n, tracefileCount: 2n } as const;

const metadataName = 'metadata';
/** Producers from this minor on name their sessions. */
const namesSince = 4;
/** Producers from this minor on have trace chunks. */
const chunksSince = 11;

/** See the file's head. */
export class TraceStore {
  readonly context: StoreContext;
  /** Remembers sessions that may be taken up again. */
  readonly book: ResumeBook;
  /** Losses by cause. */
  readonly lost: Record<string, { packets: number; bytes: number }> = {};
  readonly #options: StoreOptions;
  readonly #sessions = new Map<number, StoredSession>();
  readonly #streams = new Map<number, TraceWriter>();
  readonly #chunksOf = new Map<TraceWriter, UsedChunks>();
  readonly #chunks: ChunkRegistry;
  /** The last packets of streams that only passed, by `passedKey`: their files are gone. */
  readonly #passed = new Map<string, IndexRecord>();
  /** Sessions about to open that may be taken up again, or are. */
  readonly #resumable = new Map<number, Resumable>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#chunks = new ChunkRegistry(options.outputPath, options.journal, (chunk) =>
      options.onChunkComplete(chunk),
    );
    this.book = this.#chunks.book;
    this.context = {
      env: {
        locks: options.locks,
        pace: new Pace(),
        pool: new DescriptorPool({
          ...(options.fdPoolSize === undefined ? {} : { size: options.fdPoolSize }),
          marks: options.locks && new SuspensionMarks(options.outputPath, options.locks),
          settle: () => {
            this.flush();
            this.syncPoint();
          },
        }),
        lockConflicts: 0,
        bytesInFlight: 0,
        open: new Set(),
        onAllClosed: () => {},
      },
      space: new Space({
        path: options.outputPath,
        reserveBytes: options.reserveBytes,
        inFlight: () => this.context.env.bytesInFlight,
      }),
      journal: options.journal,
      durability: options.durability,
      totals: { packets: 0, bytes: 0, metadataBytes: 0 },
      dirty: new Set(),
      unsynced: new Set(),
      entering: new Turns(),
      lose: (cause, packets, bytes) => {
        const sum = this.lost[cause] ?? { packets: 0, bytes: 0 };
        this.lost[cause] = { packets: sum.packets + packets, bytes: sum.bytes + bytes };
      },
    };
  }

  session(id: number): StoredSession | undefined {
    return this.#sessions.get(id);
  }

  stream(handle: number): TraceWriter | undefined {
    return this.#streams.get(handle);
  }

  /** The session that is about to open may be taken up again; where its token is known, it goes on. */
  resumable(session: number, resumable: Resumable): void {
    this.#resumable.set(session, resumable);
  }

  /** Whether files of streams that have ended are still being written below `path` in the output directory. */
  isClosingBelow(path: string): boolean {
    const directory = `${below(this.#options.outputPath, path)}/`;
    for (const file of this.context.env.open)
      if (file.closing && file.path.startsWith(directory)) return true;
    return false;
  }

  /** Chunks that somebody uses, for the assertion that nothing is left at shutdown. */
  get chunksInUse(): number {
    return this.#chunks.size;
  }

  /**
   * Accepts one frame; `slab` holds its bytes, if it has any. Data frames come through `chunkWriter` instead.
   * Errors: MR_ERR_DISK_NAME, MR_ERR_DISK_CREATE, MR_ERR_RELAY_CHUNK and others of the frame's writer.
   */
  accept(frame: Frame, slab?: Slab): void {
    this.#take(frame, slab);
    this.#options.onFrame?.(frame, slab);
  }

  #take(frame: Frame, slab: Slab | undefined): void {
    switch (frame.kind) {
      case 'sessionOpen':
        this.#openSession(frame);
        break;
      case 'sessionEnd':
        this.#endSession(frame.session);
        break;
      case 'chunkOpen':
        this.#chunks.open(this.#sessionOf(frame.session), frame);
        break;
      case 'chunkDone':
        this.#closeChunk(frame);
        break;
      case 'streamOpen':
        this.#openStream(frame);
        break;
      case 'streamEnd':
        this.#endStream(frame.stream, frame.lastNetSeqNum);
        break;
      case 'metadata':
        this.#metadata(frame, slab as Slab);
        return;
      case 'index':
        this.#index(frame);
        return;
      case 'switch':
        this.#switch(frame);
        break;
      case 'inactive': {
        const writer = this.#streams.get(frame.stream);
        if (writer instanceof StreamWriter) writer.inactive(frame);
        return;
      }
      case 'lost': {
        const writer = this.#streams.get(frame.stream);
        if (writer instanceof StreamWriter) writer.lose(frame);
        return;
      }
      case 'sync':
        // What it covers is made durable, where that is asked for, before readers are told of it.
        this.flush();
        this.syncPoint();
        return;
      case 'published':
      case 'data':
        return;
    }
    this.#options.journal.frame(frame);
  }

  /** Writes what the frames since the last call have made complete. Called once a batch. */
  flush(): void {
    const { dirty } = this.context;
    if (dirty.size === 0) return;
    const writers = [...dirty];
    dirty.clear();
    for (const writer of writers) writer.flushIndex();
  }

  /** A sync point: makes durable, and commits, what waited for it. */
  syncPoint(): void {
    const { unsynced } = this.context;
    const writers = [...unsynced];
    unsynced.clear();
    for (const writer of writers) writer.syncPoint();
  }

  #openSession(open: SessionOpen): void {
    if (open.minor >= namesSince) checkNames(open);
    const isPassing = this.#options.isPassing?.(open.session) ?? false;
    const wanted = open.minor >= chunksSince ? sessionPath(open, this.#options.grouping) : [];
    const shown = this.#options.placeOf?.(open, wanted) ?? wanted;
    const path = isPassing ? [...passingPath, ...shown] : shown;
    const { token, afresh = true } = this.#resumable.get(open.session) ?? {};
    this.#resumable.delete(open.session);
    const { book } = this;
    const resumes = token !== undefined && !afresh && book.pathOf(token) === path.join('/');
    if (token !== undefined) book.begin(token, path.join('/'), !afresh);
    const session: StoredSession = {
      open,
      path,
      openedS: Math.floor(Date.now() / 1000),
      current: undefined,
      awaitingClose: undefined,
      hasRotated: false,
      streams: new Set(),
      isPassing,
      token,
      resumes,
      shownPath: shown.join('/'),
      closedPath: '',
    };
    // The session's directory exists from now on, even if nothing is ever stored in it.
    if (open.minor >= chunksSince) makeDirectory([this.#options.outputPath, ...path].join('/'));
    else {
      session.current = this.#chunks.anonymous(session);
      session.current.acquire(session);
    }
    this.#sessions.set(open.session, session);
  }

  /** The session's owner is gone; its streams have ended before. */
  #endSession(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    const others = [...this.#sessions.values()];
    this.#chunks.release(session, others);
    if (session.isPassing && !others.some(({ shownPath }) => shownPath === session.shownPath))
      rmSync([this.#options.outputPath, ...session.path].join('/'), { recursive: true, force: true });
  }

  /** The session takes part in a chunk that another consumer has made. Returns whether there is one. */
  joinChunk(sessionId: number, chunkId: bigint): boolean {
    return this.#chunks.join(this.#sessionOf(sessionId), chunkId);
  }

  #closeChunk(frame: ChunkDone): void {
    const session = this.#sessionOf(frame.session);
    session.closedPath = this.#chunks.close(session, frame);
  }

  /** Whether a chunk still has users: a session, or a stream that has not left it. */
  chunkExists(sessionId: number, chunkId: bigint): boolean {
    return this.#chunks.find(this.#sessionOf(sessionId), chunkId) !== undefined;
  }

  #openStream(open: StreamOpen): void {
    const session = this.#sessionOf(open.session);
    const { current: chunk } = session;
    if (chunk === undefined)
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'addStream',
        why: 'the session has no trace chunk',
      });
    checkComponent('channel name', open.channelName);
    const { minor, snapshot } = session.open;
    const components =
      minor >= chunksSince
        ? checkPath('stream path', open.path)
        : [
            ...(session.isPassing ? passingPath : []),
            ...oldStreamPath(open.path, session.open, this.#options.grouping, session.openedS),
          ];
    if (minor < chunksSince && this.#options.replaces === false) this.#refuseReplacing(open, components);
    const { resumes, isPassing } = session;
    const isHollow = isPassing && session.open.liveTimerUs === 0;
    const kept = isPassing ? { ...open, ...(isHollow ? hollowRing : passingRing) } : open;
    const lastPacketSeqNum = resumes
      ? this.lastStored(session.path, components, open.channelName)?.packetSeqNum
      : undefined;
    const writer =
      open.channelName === metadataName
        ? new MetadataWriter(kept, chunk, components, this.context, resumes)
        : new StreamWriter(kept, chunk, components, indexFormat(minor, snapshot), this.context, {
            resumes: resumes ? { lastPacketSeqNum } : undefined,
            isHollow,
          });
    if (writer instanceof StreamWriter) writer.comesAgain = session.token !== undefined;
    chunk.acquire(writer);
    this.#chunksOf.set(writer, { current: chunk, next: undefined });
    this.#streams.set(open.stream, writer);
    session.streams.add(open.stream);
  }

  /** Whoever sent it may come again, and ask how far it was. */
  #rememberPassed({ path }: StoredSession, { path: streamPath, channelName }: StreamOpen): void {
    const components = checkPath('stream path', streamPath);
    const record = this.lastStored(path, components, channelName);
    if (record === undefined) return;
    const [oldest] = this.#passed.keys();
    if (oldest !== undefined && this.#passed.size >= limits.passedStreams) this.#passed.delete(oldest);
    this.#passed.set(passedKey(path, components, channelName), record);
  }

  /**
   * The record of a stream's latest packet in the session whose directory is `path`; `components`: of the stream's
   * directory in a chunk.
   */
  lastStored(
    path: readonly string[],
    components: readonly string[],
    channelName: string,
  ): IndexRecord | undefined {
    const output = this.#options.outputPath;
    // Producers before 2.11 name the whole directory, and their sessions have none.
    if (path.length === 0) return lastRecordOf([output, ...components].join('/'), [], channelName);
    return (
      lastRecordOf([output, ...path].join('/'), components, channelName) ??
      this.#passed.get(passedKey(path, components, channelName))
    );
  }

  #refuseReplacing({ channelName, tracefileSizeBytes }: StreamOpen, components: readonly string[]): void {
    const isSplit = tracefileSizeBytes > 0n && channelName !== metadataName;
    const name = isSplit ? `${channelName}_0` : channelName;
    const path = [this.#options.outputPath, ...components, name].join('/');
    if (existsSync(path))
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: 'a session that was stored before has it' });
  }

  /** The stream is finished, or given up (`abandonStream`). */
  #endStream(handle: number, last: bigint | undefined): void {
    const writer = this.#streamOf(handle);
    const forget = () => this.#forget(handle);
    if (writer instanceof StreamWriter) {
      writer.end(last, forget);
      return;
    }
    writer.close(forget);
  }

  /** No more bytes will come for this stream: closes it as it is, once no write is under way. */
  abandonStream(handle: number): void {
    const writer = this.#streams.get(handle);
    const forget = () => this.#forget(handle);
    if (writer instanceof StreamWriter) writer.abandon(forget);
    else writer?.close(forget);
  }

  #forget(handle: number): void {
    const writer = this.#streams.get(handle);
    if (writer === undefined) return;
    this.#streams.delete(handle);
    const session = this.#sessions.get(writer.stream.session);
    // With its last stream a session may end, and what was kept of it goes.
    if (session?.isPassing === true && session.token !== undefined && writer instanceof StreamWriter)
      this.#rememberPassed(session, writer.stream);
    this.#options.onStreamClosed(handle);
    session?.streams.delete(handle);
    const used = this.#chunksOf.get(writer);
    this.#chunksOf.delete(writer);
    used?.current?.release(writer);
    used?.next?.release(writer);
  }

  #metadata(frame: Metadata, slab: Slab): void {
    const writer = this.#streamOf(frame.stream);
    if (!(writer instanceof MetadataWriter)) throw notMetadata(frame.stream, 'metadata');
    writer.append(frame, slab);
  }

  #index(frame: Index): void {
    const writer = this.#streamOf(frame.stream);
    if (!(writer instanceof StreamWriter))
      throw new MillraceError('MR_ERR_RELAY_STREAM_KIND', {
        command: 'sendIndex',
        stream: frame.stream,
        why: 'is a metadata stream',
      });
    writer.index(frame);
  }

  /** A stream goes over to another chunk: both have it as a user until it has. */
  #switch({ stream: handle, chunk: id, atPacketSeqNum }: Switch): void {
    const writer = this.#streamOf(handle);
    const next = id === undefined ? undefined : this.#chunks.find(this.#sessionOf(writer.stream.session), id);
    if (id !== undefined && next === undefined)
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'rotateStreams',
        why: `trace chunk ${id} is unknown`,
      });
    const used = this.#chunksOf.get(writer);
    if (used === undefined) return;
    next?.acquire(writer);
    const passedOver = used.next;
    used.next = next;
    if (passedOver !== next && passedOver !== used.current) passedOver?.release(writer);
    const gone = () => {
      const { current } = used;
      used.current = next;
      used.next = undefined;
      if (current !== next && this.#chunksOf.has(writer)) current?.release(writer);
    };
    if (writer instanceof StreamWriter) writer.switchTo(atPacketSeqNum, next, gone);
    else writer.switchTo(next, gone);
  }

  /** Resolves when every file is closed; only after all sessions have ended. */
  async closed(): Promise<void> {
    const { env } = this.context;
    if (env.open.size > 0)
      await new Promise<void>((resolve) => {
        env.onAllClosed = resolve;
      });
    env.pool.marks?.close();
  }

  #sessionOf(id: number): StoredSession {
    const session = this.#sessions.get(id);
    if (session === undefined)
      throw new MillraceError('MR_ERR_RELAY_STATE', { command: 'frame', expected: `session ${id}` });
    return session;
  }

  #streamOf(handle: number): TraceWriter {
    const writer = this.#streams.get(handle);
    if (writer === undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_UNKNOWN', { command: 'frame', stream: handle });
    return writer;
  }
}

/** Snapshots, and producers before 2.4, have no index. */
function indexFormat(minor: number, snapshot: boolean): IndexFormat | undefined {
  return snapshot || minor < 4 ? undefined : indexFormatAt(minor);
}

function notMetadata(stream: number, command: string): MillraceError {
  return new MillraceError('MR_ERR_RELAY_STREAM_KIND', { command, stream, why: 'is no metadata stream' });
}
