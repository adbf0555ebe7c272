/**
 * The streams of a store: each is opened in its session's trace chunk, and a user of that until its files are closed,
 * or it has gone over to another one.
 */
import { existsSync } from 'node:fs';
import { type IndexFormat, type IndexRecord, indexFormatAt } from '../ctf/index-file.ts';
import { MillraceError } from '../errors.ts';
import type { SessionOpen, StreamOpen } from '../stage/frames.ts';
import { MetadataWriter } from './metadata-writer.ts';
import { checkComponent, checkPath } from './names.ts';
import { passingPath, passingStream } from './passing.ts';
import { oldStreamPath } from './session-path.ts';
import type { StoreContext } from './store-context.ts';
import type { StoreOptions } from './store-options.ts';
import { hasChunks, type StoredSession } from './stored-session.ts';
import { StreamWriter } from './stream-writer.ts';
import type { TraceChunk } from './trace-chunk.ts';

/** A writer of either kind. */
export type TraceWriter = StreamWriter | MetadataWriter;

/** The chunks that a stream uses. */
interface UsedChunks {
  /** undefined: it has left its chunk for none. */
  current: TraceChunk | undefined;
  /** While it goes over: the one it goes to. */
  next: TraceChunk | undefined;
}

/** Whose streams they are. */
export interface StreamTableOwner {
  /** The record of a stream's latest packet: see `TraceStore`. */
  lastStored(
    path: readonly string[],
    components: readonly string[],
    channelName: string,
  ): IndexRecord | undefined;
  /** A stream's files are closed, its handle is free. */
  streamClosed(writer: TraceWriter): void;
}

const metadataName = 'metadata';

/** See the file's head. */
export class StreamTable {
  readonly #options: Pick<StoreOptions, 'outputPath' | 'grouping' | 'replaces'>;
  readonly #context: StoreContext;
  readonly #owner: StreamTableOwner;
  /** By handle. */
  readonly #writers = new Map<number, TraceWriter>();
  readonly #chunksOf = new Map<TraceWriter, UsedChunks>();

  constructor(
    options: Pick<StoreOptions, 'outputPath' | 'grouping' | 'replaces'>,
    context: StoreContext,
    owner: StreamTableOwner,
  ) {
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
  }

  get(handle: number): TraceWriter | undefined {
    return this.#writers.get(handle);
  }

  /** Opens a stream in its session's trace chunk. Errors: MR_ERR_RELAY_CHUNK, MR_ERR_DISK_NAME, MR_ERR_DISK_CREATE. */
  open(open: StreamOpen, session: StoredSession): void {
    const { current: chunk } = session;
    if (chunk === undefined)
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'addStream',
        why: 'the session has no trace chunk',
      });
    checkComponent('channel name', open.channelName);
    const components = hasChunks(session.open)
      ? checkPath('stream path', open.path)
      : this.#oldComponents(open, session);
    const { resumes, isPassing } = session;
    const isHollow = isPassing && session.open.liveTimerUs === 0;
    const kept = isPassing ? passingStream(open, isHollow) : open;
    const lastPacketSeqNum = resumes
      ? this.#owner.lastStored(session.path, components, open.channelName)?.packetSeqNum
      : undefined;
    const writer =
      open.channelName === metadataName
        ? new MetadataWriter(kept, chunk, components, this.#context, resumes)
        : new StreamWriter(kept, chunk, components, indexFormat(session.open), this.#context, {
            resumes: resumes ? { lastPacketSeqNum } : undefined,
            isHollow,
          });
    if (writer instanceof StreamWriter) writer.comesAgain = session.token !== undefined;
    chunk.acquire(writer);
    this.#chunksOf.set(writer, { current: chunk, next: undefined });
    this.#writers.set(open.stream, writer);
    session.streams.add(open.stream);
  }

  /** Producers before 2.11 name the whole directory. */
  #oldComponents(open: StreamOpen, session: StoredSession): string[] {
    const path = oldStreamPath(open.path, session.open, this.#options.grouping, session.openedS);
    const components = session.isPassing ? [...passingPath, ...path] : path;
    if (this.#options.replaces === false) this.#refuseReplacing(open, components);
    return components;
  }

  #refuseReplacing({ channelName, tracefileSizeBytes }: StreamOpen, components: readonly string[]): void {
    const isSplit = tracefileSizeBytes > 0n && channelName !== metadataName;
    const name = isSplit ? `${channelName}_0` : channelName;
    const path = [this.#options.outputPath, ...components, name].join('/');
    if (existsSync(path))
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: 'a session that was stored before has it' });
  }

  /** The stream is finished, or given up (`abandon`). */
  end(handle: number, last: bigint | undefined): void {
    const writer = this.find(handle);
    const forget = () => this.#forget(handle);
    if (writer instanceof StreamWriter) {
      writer.end(last, forget);
      return;
    }
    writer.close(forget);
  }

  /** No more bytes will come for this stream: closes it as it is, once no write is under way. */
  abandon(handle: number): void {
    const writer = this.#writers.get(handle);
    const forget = () => this.#forget(handle);
    if (writer instanceof StreamWriter) writer.abandon(forget);
    else writer?.close(forget);
  }

  #forget(handle: number): void {
    const writer = this.#writers.get(handle);
    if (writer === undefined) return;
    this.#writers.delete(handle);
    this.#owner.streamClosed(writer);
    const used = this.#chunksOf.get(writer);
    this.#chunksOf.delete(writer);
    used?.current?.release(writer);
    used?.next?.release(writer);
  }

  /** A stream goes over to another chunk: both have it as a user until it has. */
  goOver(writer: TraceWriter, atPacketSeqNum: bigint, next: TraceChunk | undefined): void {
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

  /** Errors: MR_ERR_RELAY_STREAM_UNKNOWN. */
  find(handle: number): TraceWriter {
    const writer = this.#writers.get(handle);
    if (writer === undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_UNKNOWN', { command: 'frame', stream: handle });
    return writer;
  }
}

/** Snapshots, and producers before 2.4, have no index. */
function indexFormat({ minor, snapshot }: SessionOpen): IndexFormat | undefined {
  return snapshot || minor < 4 ? undefined : indexFormatAt(minor);
}
