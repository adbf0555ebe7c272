/** Reads one session of a directory, chunk after chunk. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { Beacons } from '../stage/beacons.ts';
import type { Frame } from '../stage/frames.ts';

import { PacketCursor } from './packet-cursor.ts';
import { type OpenStream, PacketWindow, type SlabSource } from './packet-window.ts';
import { type SessionNames, sessionFacts } from './session-facts.ts';
import type { ChunkLayout, SessionLayout } from './session-layout.ts';
import type { StreamFiles } from './stream-files.ts';
import { metadataBatches, openTrace, type Trace } from './trace.ts';

/** What the readers of one source share. */
export interface SourceContext {
  /** Absolute: what was searched. */
  root: string;
  names: SessionNames;
  slabs: SlabSource;
  locks: RangeLocks | undefined;
  syncIntervalMs: number;
  /** A number for the next session or stream. */
  handle(): number;
  damaged(error: MillraceError): void;
}

/** A stream that has been opened, over all its chunks. */
interface Stream {
  handle: number;
  isMetadata: boolean;
  /** Number of the next packet, and what the tracer called the last one. */
  next: bigint;
  packetSeqNum: bigint | undefined;
}

/** See the file's head. */
export class SessionReader {
  /** Whether something of it could be read. */
  opened = false;
  readonly #layout: SessionLayout;
  readonly #context: SourceContext;
  readonly #session: number;
  readonly #beacons: Beacons;
  /** By trace path and channel name. */
  #streams = new Map<string, Stream>();
  #chunk: ChunkLayout | undefined;
  #damaged = false;
  /** Cursors of the chunk in hand. */
  readonly #cursors = new Set<PacketCursor>();

  constructor(layout: SessionLayout, context: SourceContext) {
    this.#layout = layout;
    this.#context = context;
    this.#session = context.handle();
    this.#beacons = new Beacons(this.#session, context.syncIntervalMs);
  }

  /** Everything from `sessionOpen` to `sessionEnd`; nothing, if none of its traces can be read. */
  async *batches(): AsyncGenerator<FrameBatch, void> {
    for (const chunk of this.#layout.chunks) {
      const traces = await this.#traces(chunk);
      const [first] = traces;
      if (first === undefined) continue;
      const frames = this.opened ? [] : [await this.#open(first)];
      this.opened = true;
      try {
        const opening = await this.#enter(chunk, traces, frames);
        yield { slab: undefined, frames };
        for (const { trace, metadata } of opening)
          yield* metadataBatches(trace, this.#session, metadata.handle);
        yield* this.#packets(opening);
      } finally {
        for (const cursor of this.#cursors) await cursor.close();
        this.#cursors.clear();
      }
    }
    if (!this.opened) return;
    const frames: Frame[] = [];
    for (const key of this.#streams.keys()) this.#end(key, frames);
    if (this.#chunk !== undefined) frames.push(this.#chunkDone(this.#chunk));
    frames.push({
      kind: 'sessionEnd',
      session: this.#session,
      outcome: this.#damaged ? 'abort' : 'end',
    });
    yield { slab: undefined, frames };
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

  async #open({ traceClass, layout }: Trace): Promise<Frame> {
    const { root, names } = this.#context;
    const { mtimeMs } = await stat(join(root, layout.found.path, 'metadata'));
    const directory = join(root, this.#layout.path);
    return sessionFacts(this.#session, directory, traceClass, BigInt(Math.floor(mtimeMs / 1000)), names);
  }

  /** Goes over to a chunk: the frames that say so, and the traces whose metadata and packets follow. */
  async #enter(chunk: ChunkLayout, traces: readonly Trace[], frames: Frame[]) {
    const { overrideName } = chunk;
    const before = this.#chunk;
    const creationTimeS = chunk.creationTimeS ?? before?.closeTimeS ?? (await this.#madeS(chunk));
    frames.push({ kind: 'chunkOpen', session: this.#session, chunk: chunk.id, creationTimeS, overrideName });
    const keys = new Set(
      traces.flatMap((trace) => [
        keyOf(trace, 'metadata'),
        ...trace.streams.map(({ channelName }) => keyOf(trace, channelName)),
      ]),
    );
    // Snapshots may hold the same packets: each has streams of its own.
    const goesOn = overrideName === undefined && before?.overrideName === undefined;
    for (const key of this.#streams.keys()) if (!goesOn || !keys.has(key)) this.#end(key, frames);
    const opening = [];
    for (const trace of traces) {
      const metadata = this.#openOrSwitch(trace, {
        channelName: 'metadata',
        names: [],
        tracefileSizeBytes: 0,
      });
      const streams: { stream: Stream; cursor: PacketCursor }[] = [];
      opening.push({ trace, metadata: metadata.stream, streams });
      frames.push(metadata.frame(chunk, undefined));
      for (const files of trace.streams) {
        const cursor = new PacketCursor(files.names, trace.cursorOptions);
        this.#cursors.add(cursor);
        await cursor.fill();
        const { stream, frame } = this.#openOrSwitch(trace, files);
        frames.push(frame(chunk, cursor));
        streams.push({ stream, cursor });
      }
    }
    if (before !== undefined) frames.push(this.#chunkDone(before));
    frames.push({ kind: 'published', session: this.#session });
    this.#chunk = chunk;
    return opening;
  }

  async #madeS({ traces }: ChunkLayout): Promise<bigint> {
    const [first] = traces;
    const { birthtimeMs } = await stat(join(this.#context.root, first?.found.path ?? ''));
    return BigInt(Math.floor(birthtimeMs / 1000));
  }

  /** The stream of these files, and how to say that it is in a chunk from now on. */
  #openOrSwitch(trace: Trace, { channelName, names, tracefileSizeBytes }: StreamFiles) {
    const key = keyOf(trace, channelName);
    const known = this.#streams.get(key);
    if (known !== undefined) {
      const frame = (chunk: ChunkLayout, cursor: PacketCursor | undefined): Frame => ({
        kind: 'switch',
        stream: known.handle,
        atPacketSeqNum: splitOf(known, cursor),
        chunk: chunk.id,
      });
      return { stream: known, frame };
    }
    const isMetadata = channelName === 'metadata';
    const stream = { handle: this.#context.handle(), isMetadata, next: 0n, packetSeqNum: undefined };
    this.#streams.set(key, stream);
    if (!isMetadata) this.#beacons.open(stream.handle);
    const frame = (): Frame => ({
      kind: 'streamOpen',
      session: this.#session,
      stream: stream.handle,
      channelName,
      path: trace.layout.path,
      tracefileSizeBytes: BigInt(tracefileSizeBytes),
      // As many as there are: none is overwritten.
      tracefileCount: tracefileSizeBytes === 0 ? 0n : BigInt(names.length),
    });
    return { stream, frame };
  }

  #end(key: string, frames: Frame[]): void {
    const { handle, next } = this.#streams.get(key) as Stream;
    this.#streams.delete(key);
    this.#beacons.end(handle);
    const lastNetSeqNum = next === 0n ? undefined : next - 1n;
    frames.push({ kind: 'streamEnd', session: this.#session, stream: handle, lastNetSeqNum });
  }

  #chunkDone({ id, closeTimeS }: ChunkLayout): Frame {
    return {
      kind: 'chunkDone',
      session: this.#session,
      chunk: id,
      closeTimeS: closeTimeS ?? BigInt(Math.floor(Date.now() / 1000)),
      action: closeTimeS === undefined ? 'none' : 'moveToCompleted',
    };
  }

  async *#packets(
    opening: ReadonlyArray<{ trace: Trace; streams: { stream: Stream; cursor: PacketCursor }[] }>,
  ): AsyncGenerator<FrameBatch, void> {
    const window = new PacketWindow(this.#context.slabs);
    const open: { stream: Stream; own: OpenStream }[] = [];
    for (const { trace, streams } of opening)
      for (const { stream, cursor } of streams) {
        const { handle, next, packetSeqNum } = stream;
        const own = { handle, cursor, next, packetSeqNum, metadataBytes: trace.metadataBytes };
        open.push({ stream, own });
        await window.add(own);
      }
    const passed = ({ handle }: OpenStream, netSeqNum: bigint) => this.#beacons.moved(handle, netSeqNum);
    for await (const batch of window.batches(passed)) {
      const sync = this.#beacons.due();
      if (sync !== undefined) batch.frames.push(sync);
      yield batch;
    }
    for (const { stream, own } of open) {
      stream.next = own.next;
      stream.packetSeqNum = own.packetSeqNum;
    }
    const sync = this.#beacons.due(true);
    if (sync !== undefined) yield { slab: undefined, frames: [sync] };
  }
}

/** NUL is in no path. */
function keyOf({ layout }: Trace, channelName: string): string {
  return `${layout.path}\0${channelName}`;
}

/** The first packet of the next chunk: the one that is there, else the one after the last; 0: at once. */
function splitOf({ isMetadata, packetSeqNum }: Stream, cursor: PacketCursor | undefined): bigint {
  if (isMetadata) return 0n;
  return cursor?.head?.facts.packetSeqNum ?? (packetSeqNum === undefined ? 0n : packetSeqNum + 1n);
}
