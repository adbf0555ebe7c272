/**
 * The committed store: takes frames, keeps sessions, trace chunks and streams below one output directory, and
 * tells by ledgers how far each stream is. It is the only writer of its files.
 *
 * Control facts are accepted one by one and at once, so that whoever answers a producer knows that they hold;
 * bytes come in batches through `chunkWriter`. What a batch made (index records) is written by `flush`.
 */
import { rmSync } from 'node:fs';
import type { IndexRecord } from '../ctf/index-file.ts';
import { MillraceError } from '../errors.ts';
import type { ChunkDone, Frame, Index, Metadata, SessionOpen, StreamOpen, Switch } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { below } from './chunk-places.ts';
import { ChunkRegistry } from './chunk-registry.ts';
import { makeDirectory } from './directories.ts';
import { lastStoredBelow } from './last-record.ts';
import { MetadataWriter } from './metadata-writer.ts';
import { checkPath } from './names.ts';
import { PassedStreams } from './passing.ts';
import type { ResumeBook } from './resume-book.ts';
import { newStoreContext, type StoreContext } from './store-context.ts';
import type { StoreOptions } from './store-options.ts';
import { hasChunks, type Resumable, type StoredSession, storedSession } from './stored-session.ts';
import { StreamTable, type TraceWriter } from './stream-table.ts';
import { StreamWriter } from './stream-writer.ts';

/** See the file's head. */
export class TraceStore {
  readonly context: StoreContext;
  /** Remembers sessions that may be taken up again. */
  readonly book: ResumeBook;
  /** Losses by cause. */
  readonly lost: Record<string, { packets: number; bytes: number }> = {};
  readonly #options: StoreOptions;
  readonly #sessions = new Map<number, StoredSession>();
  readonly #streams: StreamTable;
  readonly #chunks: ChunkRegistry;
  readonly #passed = new PassedStreams();
  /** Sessions about to open that may be taken up again, or are. */
  readonly #resumable = new Map<number, Resumable>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#chunks = new ChunkRegistry(options.outputPath, options.journal, (chunk) =>
      options.onChunkComplete(chunk),
    );
    this.book = this.#chunks.book;
    const settle = () => {
      this.flush();
      this.syncPoint();
    };
    const lose = (cause: string, packets: number, bytes: number) => {
      const sum = this.lost[cause] ?? { packets: 0, bytes: 0 };
      this.lost[cause] = { packets: sum.packets + packets, bytes: sum.bytes + bytes };
    };
    this.context = newStoreContext(options, settle, lose);
    this.#streams = new StreamTable(options, this.context, {
      lastStored: (path, components, channelName) => this.lastStored(path, components, channelName),
      streamClosed: (writer) => this.#streamClosed(writer),
    });
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
        this.#streams.open(frame, this.#sessionOf(frame.session));
        break;
      case 'streamEnd':
        this.#streams.end(frame.stream, frame.lastNetSeqNum);
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
    const resumable = this.#resumable.get(open.session);
    this.#resumable.delete(open.session);
    const session = storedSession(open, this.#options, resumable, this.book);
    // The session's directory exists from now on, even if nothing is ever stored in it.
    if (hasChunks(open)) makeDirectory([this.#options.outputPath, ...session.path].join('/'));
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

  /** See `lastStoredBelow`; of streams that only passed it is known as long as the relay lives. */
  lastStored(
    path: readonly string[],
    components: readonly string[],
    channelName: string,
  ): IndexRecord | undefined {
    return (
      lastStoredBelow(this.#options.outputPath, path, components, channelName) ??
      this.#passed.get(path, components, channelName)
    );
  }

  /** No more bytes will come for this stream: closes it as it is, once no write is under way. */
  abandonStream(handle: number): void {
    this.#streams.abandon(handle);
  }

  #streamClosed(writer: TraceWriter): void {
    const { stream } = writer;
    const session = this.#sessions.get(stream.session);
    // With its last stream a session may end, and what was kept of it goes.
    if (session?.isPassing === true && session.token !== undefined && writer instanceof StreamWriter)
      this.#rememberPassed(session, stream);
    this.#options.onStreamClosed(stream.stream);
    session?.streams.delete(stream.stream);
  }

  #rememberPassed({ path }: StoredSession, { path: streamPath, channelName }: StreamOpen): void {
    const components = checkPath('stream path', streamPath);
    const record = this.lastStored(path, components, channelName);
    if (record !== undefined) this.#passed.add(path, components, channelName, record);
  }

  #metadata(frame: Metadata, slab: Slab): void {
    const writer = this.#streams.find(frame.stream);
    if (!(writer instanceof MetadataWriter)) throw notMetadata(frame.stream, 'metadata');
    writer.append(frame, slab);
  }

  #index(frame: Index): void {
    const writer = this.#streams.find(frame.stream);
    if (!(writer instanceof StreamWriter))
      throw new MillraceError('MR_ERR_RELAY_STREAM_KIND', {
        command: 'sendIndex',
        stream: frame.stream,
        why: 'is a metadata stream',
      });
    writer.index(frame);
  }

  /** A stream goes over to another chunk, or to none. */
  #switch({ stream: handle, chunk: id, atPacketSeqNum }: Switch): void {
    const writer = this.#streams.find(handle);
    const next = id === undefined ? undefined : this.#chunks.find(this.#sessionOf(writer.stream.session), id);
    if (id !== undefined && next === undefined)
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'rotateStreams',
        why: `trace chunk ${id} is unknown`,
      });
    this.#streams.goOver(writer, atPacketSeqNum, next);
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
}

function notMetadata(stream: number, command: string): MillraceError {
  return new MillraceError('MR_ERR_RELAY_STREAM_KIND', { command, stream, why: 'is no metadata stream' });
}
