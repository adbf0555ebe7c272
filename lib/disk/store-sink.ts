/**
 * The trace store as a sink for frames of every kind: what it leaves is what a relay would have stored of the same
 * session. It holds its output directory as a relay does, and mends it first if one died there.
 */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { MillraceError, why } from '../errors.ts';
import { openRangeLocks, type RangeLocks } from '../os/range-locks.ts';
import { type FrameBatch, releaseBatch } from '../stage/batch.ts';
import type { Frame, SessionEnd, SessionOpen } from '../stage/frames.ts';
import type { Slab } from '../stage/slab.ts';
import { stageError } from '../stage/stage.ts';
import { tell } from '../telemetry.ts';
import type { CompleteChunk } from './chunk-registry.ts';
import { chunkWriter } from './chunk-writer.ts';
import { makeDirectory } from './directories.ts';
import { Journal } from './journal.ts';
import { packetReaderOf } from './packet-reader-of.ts';
import type { Grouping } from './session-path.ts';
import type { Durability } from './store-context.ts';
import { TraceStore } from './trace-store.ts';

/** See `storeSink`. */
export interface StoreSinkOptions {
  /** Made if need be. */
  outputPath: string;
  /** `host` by default. */
  grouping?: Grouping;
  /** `none` by default. */
  durability?: Durability;
  /** Milliseconds between sync points, with `durability` `sync`; 1000 by default. */
  syncIntervalMs?: number;
  /** Bytes of free space kept for metadata and indexes; none by default. */
  reserveBytes?: number;
  /** Descriptors that the files may use; absent: no bound. */
  fdPoolSize?: number;
  /** Default: those of the system. `none`: files are written without range locks. */
  locks?: RangeLocks | 'none';
  /** Called in the tick in which the chunk's last user leaves it. */
  onChunkComplete?(chunk: CompleteChunk): void;
}

/** What has been stored so far. */
export interface StoreTotals {
  packets: number;
  bytes: number;
  metadataBytes: number;
  /** Losses by cause. */
  lost: Readonly<Record<string, { packets: number; bytes: number }>>;
}

/**
 * A Writable of FrameBatch in the order of the grammar, of one source: its handles are the store's. Takes ownership of
 * each batch, and is done with it when its bytes are written. A packet that is lost leaves an index record with offset
 * -1, if its index had come. What is stored already is never written over: a session whose directory is taken goes to
 * `DIRECTORY.2`, and so on. Sessions that are open at the end, or when it is destroyed, are closed as they are.
 *
 * Errors: MR_ERR_DISK_IN_USE when a relay writes there, MR_ERR_DISK_NAME, MR_ERR_DISK_CREATE, MR_ERR_DISK_FULL,
 * MR_ERR_DISK_WRITE, and MR_ERR_RELAY_* for frames that do not follow the grammar.
 */
export function storeSink(options: StoreSinkOptions): StoreSink {
  return new StoreSink(options);
}

/** Frames that a batch's packets need not be written for first. */
const beside: ReadonlySet<Frame['kind']> = new Set(['data', 'index', 'inactive', 'sync', 'published']);

/** See `storeSink`. */
export class StoreSink extends Writable {
  readonly #options: StoreSinkOptions;
  #journal: Journal | undefined;
  #store: TraceStore | undefined;
  /** Writes what has bytes. */
  #packets: Writable | undefined;
  #syncs: NodeJS.Timeout | undefined;
  readonly #sessions = new Set<number>();
  /** Where sessions lie, by their handles. */
  readonly #places = new Map<number, { key: string; path: string[] }>();
  /** Streams whose end has come. */
  readonly #ended = new Set<number>();
  #onStreamClosed: () => void = () => {};
  #closed: Promise<void> | undefined;

  constructor(options: StoreSinkOptions) {
    super({ objectMode: true, highWaterMark: 2 });
    this.#options = options;
  }

  get totals(): StoreTotals {
    const { packets, bytes, metadataBytes } = this.#store?.context.totals ?? {
      packets: 0,
      bytes: 0,
      metadataBytes: 0,
    };
    return { packets, bytes, metadataBytes, lost: this.#store?.lost ?? {} };
  }

  override _construct(callback: (error?: Error | null) => void): void {
    try {
      this.#open();
      callback();
    } catch (error) {
      callback(stageError('store', error));
    }
  }

  #open(): void {
    const { grouping = 'host', durability = 'none', syncIntervalMs = 1000 } = this.#options;
    const { reserveBytes = 0, fdPoolSize } = this.#options;
    const outputPath = resolve(this.#options.outputPath);
    const locks = this.#options.locks === 'none' ? undefined : (this.#options.locks ?? openRangeLocks());
    makeDirectory(outputPath);
    const journal = Journal.open(outputPath, locks, packetReaderOf);
    const store = new TraceStore({
      outputPath,
      grouping,
      locks,
      journal,
      durability,
      reserveBytes,
      ...(fdPoolSize === undefined ? {} : { fdPoolSize }),
      replaces: false,
      placeOf: (open, path) => this.#placeOf(open, path, outputPath),
      onStreamClosed: (stream) => {
        this.#ended.delete(stream);
        this.#onStreamClosed();
      },
      onChunkComplete: (chunk) => this.#options.onChunkComplete?.(chunk),
    });
    this.#journal = journal;
    this.#store = store;
    this.#packets = chunkWriter(store);
    this.#packets.on('error', () => undefined);
    if (durability === 'sync') this.#syncs = setInterval(() => store.syncPoint(), syncIntervalMs).unref();
  }

  /**
   * A directory for a session in which nothing is stored: its own, or that with a number behind it. The parts of one
   * session, from several consumer daemons, share theirs.
   */
  #placeOf(open: SessionOpen, path: readonly string[], outputPath: string): string[] {
    // Producers before 2.11 name directories stream by stream.
    if (path.length === 0) return [...path];
    const key = `${open.sessiondUuid} ${open.idSessiond} ${path.join('/')}`;
    for (const [session, place] of this.#places)
      if (this.#sessions.has(session) && place.key === key) {
        this.#places.set(open.session, place);
        return place.path;
      }
    let free = [...path];
    for (let n = 2; holdsAnything(join(outputPath, ...free)); n += 1)
      free = [...path.slice(0, -1), `${path.at(-1)}.${n}`];
    const facts = { wanted: path.join('/'), path: free.join('/') };
    if (facts.wanted !== facts.path)
      tell(
        'warn',
        'disk:place-taken',
        `${facts.wanted} holds a session already, stored in ${facts.path}`,
        facts,
      );
    this.#places.set(open.session, { key, path: free });
    return free;
  }

  override _write(
    batch: FrameBatch,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#take(batch).then(
      () => callback(),
      (error: unknown) => callback(stageError('store', error)),
    );
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#close().then(
      () => callback(),
      (error: unknown) => callback(stageError('store', error)),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#onStreamClosed();
    this.#close().then(
      () => callback(error),
      (failure: unknown) => callback(error ?? stageError('store', failure)),
    );
  }

  /** Writes the packets of frames that lie together at once, and does what comes between them in its turn. */
  async #take(batch: FrameBatch): Promise<void> {
    const { frames, slab } = batch;
    try {
      for (let at = 0; at < frames.length; ) {
        let end = at;
        while (end < frames.length && beside.has((frames[end] as Frame).kind)) end += 1;
        if (end > at) await this.#together(frames.slice(at, end), slab);
        const frame = frames[end];
        if (frame !== undefined) await this.#alone(frame, slab);
        at = end + 1;
      }
    } finally {
      releaseBatch(batch);
    }
  }

  async #together(frames: readonly Frame[], slab: Slab | undefined): Promise<void> {
    const store = this.#store as TraceStore;
    const data = frames.filter(({ kind }) => kind === 'data');
    if (data.length > 0) await this.#written({ slab: slab?.retain(), frames: data });
    for (const frame of frames) if (frame.kind !== 'data') store.accept(frame);
    store.flush();
  }

  #written(batch: FrameBatch): Promise<void> {
    return new Promise((done, failed) => {
      this.#packets?.write(batch, (error) => (error ? failed(error) : done()));
    });
  }

  async #alone(frame: Frame, slab: Slab | undefined): Promise<void> {
    const store = this.#store as TraceStore;
    if (frame.kind === 'sessionOpen') this.#sessions.add(frame.session);
    if (frame.kind === 'sessionEnd') {
      await this.#endSession(frame);
      return;
    }
    if (frame.kind === 'streamEnd') {
      this.#ended.add(frame.stream);
      // All of its packets have come before, or are lost.
      store.accept({ ...frame, lastNetSeqNum: undefined });
    } else store.accept(frame, slab);
    store.flush();
  }

  /** Its chunks are finished when its last file is closed. */
  async #endSession(frame: SessionEnd): Promise<void> {
    const store = this.#store as TraceStore;
    const streams = store.session(frame.session)?.streams ?? new Set();
    for (const stream of streams) if (!this.#ended.has(stream)) store.abandonStream(stream);
    while (streams.size > 0 && !this.destroyed)
      await new Promise<void>((resolve) => {
        this.#onStreamClosed = resolve;
      });
    this.#sessions.delete(frame.session);
    this.#places.delete(frame.session);
    store.accept(frame);
  }

  #close(): Promise<void> {
    this.#closed ??= this.#closeNow();
    return this.#closed;
  }

  async #closeNow(): Promise<void> {
    clearInterval(this.#syncs);
    const store = this.#store;
    if (store === undefined) return;
    for (const session of this.#sessions)
      for (const stream of store.session(session)?.streams ?? []) store.abandonStream(stream);
    await store.closed();
    for (const session of this.#sessions) store.accept({ kind: 'sessionEnd', session, outcome: 'abort' });
    this.#journal?.close();
  }
}

function holdsAnything(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
  }
}
