/** Reads one session of a finished directory, chunk after chunk. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import type { FrameBatch } from '../stage/batch.ts';
import type { SessionOpen } from '../stage/frames.ts';
import { type SessionNames, sessionFacts } from '../stage/session-facts.ts';
import { SessionFrames, type SessionStream, streamKey } from '../stage/session-frames.ts';
import { PacketCursor } from './packet-cursor.ts';
import { type OpenStream, PacketWindow, type SlabSource } from './packet-window.ts';
import type { ChunkLayout, SessionLayout } from './session-layout.ts';
import { openTrace, type Trace, traceMetadata } from './trace.ts';

/** What the readers of one source share. */
export interface SourceContext {
  /** Absolute: what was searched. */
  root: string;
  names: SessionNames;
  slabs: SlabSource;
  locks: RangeLocks | undefined;
  syncIntervalMs: number;
  /** The same, under a name that no other session of the source has. */
  distinct: (open: SessionOpen) => SessionOpen;
  /** A number for the next session or stream. */
  handle: () => number;
  damaged(error: MillraceError): void;
}

/** See the file's head. */
export class SessionReader {
  /** Whether something of it could be read. */
  opened = false;
  readonly #layout: SessionLayout;
  readonly #context: SourceContext;
  readonly #frames: SessionFrames;
  #chunk: ChunkLayout | undefined;
  #damaged = false;
  /** Seconds since 1970. */
  #createdS = 0n;
  /** Cursors of the chunk in hand. */
  readonly #cursors = new Set<PacketCursor>();

  constructor(layout: SessionLayout, context: SourceContext) {
    this.#layout = layout;
    this.#context = context;
    this.#frames = new SessionFrames(context.handle, context.syncIntervalMs);
  }

  /** Everything from `sessionOpen` to `sessionEnd`; nothing, if none of its traces can be read. */
  async *batches(): AsyncGenerator<FrameBatch, void> {
    const frames = this.#frames;
    for (const chunk of this.#layout.chunks) {
      const traces = await this.#traces(chunk);
      const [first] = traces;
      if (first === undefined) continue;
      try {
        if (!this.opened) await this.#open(first);
        this.opened = true;
        const streams = await this.#enter(chunk, traces);
        yield { slab: undefined, frames: frames.take() };
        for (const trace of traces) {
          const { handle } = frames.stream(streamKey(trace.layout.path, 'metadata')) as SessionStream;
          yield* traceMetadata(trace, frames.session, handle);
        }
        yield* this.#packets(streams);
      } finally {
        for (const cursor of this.#cursors) await cursor.close();
        this.#cursors.clear();
      }
    }
    if (!this.opened) return;
    frames.end(this.#damaged ? 'abort' : 'end', this.#chunk?.closeTimeS);
    yield { slab: undefined, frames: frames.take() };
  }

  async #traces(chunk: ChunkLayout): Promise<Trace[]> {
    const { root, locks, slabs } = this.#context;
    const traces: Trace[] = [];
    for (const layout of chunk.traces) {
      const options = { locks, signal: slabs.signal };
      try {
        traces.push(await openTrace(root, layout, options, (error) => this.#tellDamage(error)));
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'MR_ERR_CONSUMER_DAMAGE') throw error;
        this.#tellDamage(error);
      }
    }
    return traces;
  }

  #tellDamage(error: MillraceError): void {
    this.#damaged = true;
    this.#context.damaged(error);
  }

  async #open({ traceClass, layout }: Trace): Promise<void> {
    const { root, names } = this.#context;
    const { mtimeMs } = await stat(join(root, layout.found.path, 'metadata'));
    const directory = { path: this.#layout.path, given: root };
    const writtenS = BigInt(Math.floor(mtimeMs / 1000));
    const facts = sessionFacts(this.#frames.session, directory, traceClass, writtenS, names);
    this.#createdS = facts.creationTimeS ?? writtenS;
    this.#frames.add(this.#context.distinct(facts));
  }

  /** Goes over to a chunk. Returns the streams that have files in it, each with its packets. */
  async #enter(chunk: ChunkLayout, traces: readonly Trace[]): Promise<OpenStream[]> {
    const frames = this.#frames;
    const { id, overrideName } = chunk;
    const before = this.#chunk;
    const chunkBefore = frames.chunk;
    const creationTimeS = chunk.creationTimeS ?? before?.closeTimeS ?? this.#createdS;
    frames.openChunk({ id, creationTimeS, overrideName });
    const keys = new Set(
      traces.flatMap(({ layout: { path }, streams }) => [
        streamKey(path, 'metadata'),
        ...streams.map(({ channelName }) => streamKey(path, channelName)),
      ]),
    );
    // Snapshots may hold the same packets: each has streams of its own.
    const goesOn = overrideName === undefined && before?.overrideName === undefined;
    for (const stream of frames.streams) if (!goesOn || !keys.has(stream.key)) frames.endStream(stream);
    const open: OpenStream[] = [];
    for (const trace of traces) {
      const { path } = trace.layout;
      const metadata = frames.stream(streamKey(path, 'metadata'));
      if (metadata === undefined) frames.openStream(path, 'metadata', 0);
      else frames.switchStream(metadata);
      for (const { channelName, names, tracefileSizeBytes: sizeBytes } of trace.streams) {
        const cursor = new PacketCursor(names, trace.cursorOptions);
        this.#cursors.add(cursor);
        await cursor.fill();
        let stream = frames.stream(streamKey(path, channelName));
        if (stream !== undefined) frames.switchStream(stream, cursor.head?.facts.packetSeqNum);
        else {
          // As many as there are: none is overwritten.
          const tracefiles = { sizeBytes, count: sizeBytes === 0 ? 0 : names.length };
          stream = frames.openStream(path, channelName, 0, tracefiles);
        }
        stream.metadataBytes = trace.metadataBytes;
        open.push({ stream, cursor });
      }
    }
    if (chunkBefore !== undefined)
      frames.chunkDone(
        chunkBefore,
        before?.closeTimeS === undefined ? 'none' : 'moveToCompleted',
        before?.closeTimeS,
      );
    frames.published();
    this.#chunk = chunk;
    return open;
  }

  async *#packets(streams: readonly OpenStream[]): AsyncGenerator<FrameBatch, void> {
    const { beacons } = this.#frames;
    const window = new PacketWindow(this.#context.slabs);
    for (const stream of streams) await window.add(stream);
    const passed = ({ handle }: SessionStream, netSeqNum: bigint) => beacons.moved(handle, netSeqNum);
    for await (const batch of window.batches(passed)) {
      const sync = beacons.due();
      if (sync !== undefined) batch.frames.push(sync);
      yield batch;
    }
    const sync = beacons.due(true);
    if (sync !== undefined) yield { slab: undefined, frames: [sync] };
  }
}
