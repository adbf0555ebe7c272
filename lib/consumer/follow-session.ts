/**
 * Follows one session of a growing directory: trace chunk after trace chunk, as they are made, renamed, archived or
 * deleted (`follow-chunks.ts` knows which is which). A chunk is left when another one is there and nobody writes into it
 * any more: then each stream goes over to its file in the next.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MillraceError } from '../errors.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { metadataBatches } from '../stage/metadata-batches.ts';
import { sessionFacts } from '../stage/session-facts.ts';
import { SessionFrames, streamKey } from '../stage/session-frames.ts';
import { FollowChunks, patience } from './follow-chunks.ts';
import { FollowStreams } from './follow-streams.ts';
import { FollowTrace } from './follow-trace.ts';
import type { ChunkLayout, SessionLayout } from './session-layout.ts';
import type { SourceContext } from './session-reader.ts';

/** See the file's head. */
export class FollowSession {
  readonly #path: string;
  readonly #context: SourceContext;
  readonly #frames: SessionFrames;
  readonly #chunks: FollowChunks;
  #traces = new Map<string, FollowTrace>();
  readonly #streams: FollowStreams;
  #finishedLooks = 0;
  #opened = false;
  #damaged = false;

  constructor(path: string, context: SourceContext) {
    this.#path = path;
    this.#context = context;
    this.#chunks = new FollowChunks(context.root);
    this.#frames = new SessionFrames(context.handle, context.syncIntervalMs);
    this.#streams = new FollowStreams(this.#frames, context.slabs);
  }

  get opened(): boolean {
    return this.#opened;
  }

  /** Whether anybody writes, or something is left to be read. */
  get isGrowing(): boolean {
    return this.#isChunkGrowing || this.#chunks.hasNext;
  }

  get #isChunkGrowing(): boolean {
    for (const trace of this.#traces.values()) if (trace.metadataGrows || trace.isPendingGrowing) return true;
    return this.#streams.isGrowing;
  }

  /** Takes in what the directory looks like now. Errors: MR_ERR_DISK_READ. */
  async update({ chunks }: SessionLayout): Promise<void> {
    const own = new Set([...this.#traces.values()].flatMap((trace) => [...trace.inodes()]));
    if (await this.#chunks.look(chunks, own)) await this.#updateChunk(this.#layout as ChunkLayout);
    this.#finishedLooks = this.#layout !== undefined && !this.#isChunkGrowing ? this.#finishedLooks + 1 : 0;
    this.#streams.looked();
  }

  /** Of the chunk that is followed. */
  get #layout(): ChunkLayout | undefined {
    return this.#chunks.current;
  }

  async #updateChunk(layout: ChunkLayout): Promise<void> {
    const { root, locks, slabs } = this.#context;
    const damaged = (error: MillraceError) => {
      this.#damaged = true;
      this.#context.damaged(error);
    };
    for (const of of layout.traces) {
      const directory = join(root, of.found.path);
      let trace = this.#traces.get(of.path);
      if (trace === undefined) {
        trace = new FollowTrace(of.path, directory, { locks, signal: slabs.signal, damaged });
        this.#traces.set(of.path, trace);
      }
      await trace.update(directory, of, this.#streams.filesOf(trace));
    }
  }

  /** Everything that can be read now. */
  async *round(): AsyncGenerator<FrameBatch, void> {
    if (!this.#opened) {
      await this.#enterFirst();
      if (!(await this.#open())) return;
    }
    // What packets need had been committed before them: so the packets are looked at first.
    const metadata = [];
    for (const trace of this.#traces.values()) {
      const isKnown = this.#frames.stream(streamKey(trace.path, 'metadata')) !== undefined;
      if (isKnown && trace.metadataBytes > 0) await this.#streams.lookAt(trace);
      metadata.push({ trace, more: await trace.moreMetadata() });
    }
    for (const { trace, more } of metadata) if (more.length > 0) this.#openMetadata(trace);
    const frames = this.#frames.take();
    if (frames.length > 0) yield { slab: undefined, frames };
    for (const { trace, more } of metadata) yield* this.#metadata(trace, more);
    yield* this.#streams.packets();
    yield* this.#leaveIfFinished();
  }

  /** The session's opening; false: none of its traces can be understood yet. */
  async #open(): Promise<boolean> {
    for (const trace of this.#traces.values()) {
      const traceClass = await trace.traceClass();
      if (traceClass === undefined) continue;
      const { root, names } = this.#context;
      // It may be moved in this moment.
      const named = await stat(join(trace.directory, 'metadata')).catch(() => undefined);
      const writtenS = BigInt(Math.floor((named?.mtimeMs ?? Date.now()) / 1000));
      const { session } = this.#frames;
      const facts = sessionFacts(session, { path: this.#path, given: root }, traceClass, writtenS, names);
      this.#frames.add(this.#context.distinct(facts));
      await this.#openChunk(facts.creationTimeS);
      this.#opened = true;
      return true;
    }
    return false;
  }

  /**
   * Goes into the first chunk that is there. One that was moved in that moment, before anything of it was opened, is not
   * known wherever it is now: what is there is a first chunk again.
   */
  async #enterFirst(): Promise<void> {
    if (this.#layout !== undefined && !(this.#chunks.isGone && this.#chunks.hasNext)) return;
    for (const trace of this.#traces.values()) await trace.close();
    this.#traces = new Map();
    await this.#enter();
  }

  /** Goes into the next chunk that is there; its frames come with the session's, if that is not open yet. */
  async #enter(): Promise<void> {
    const layout = this.#chunks.enter();
    if (layout !== undefined) await this.#updateChunk(layout);
  }

  async #openChunk(elseS?: bigint): Promise<void> {
    const { id, creationTimeS, overrideName } = this.#layout as ChunkLayout;
    const last = this.#frames.chunk?.id;
    this.#frames.openChunk({
      id: last === undefined || id > last ? id : last + 1n,
      creationTimeS: creationTimeS ?? elseS ?? BigInt(Math.floor(Date.now() / 1000)),
      overrideName,
    });
  }

  #openMetadata(trace: FollowTrace): void {
    if (this.#frames.stream(streamKey(trace.path, 'metadata')) !== undefined) return;
    this.#frames.openStream(trace.path, 'metadata', 0);
    this.#frames.published();
  }

  async *#metadata(trace: FollowTrace, more: Buffer): AsyncGenerator<FrameBatch, void> {
    const { handle: stream } = this.#frames.stream(streamKey(trace.path, 'metadata')) ?? {};
    if (stream === undefined || more.length === 0) return;
    const { session } = this.#frames;
    yield* metadataBatches({ session, stream, version: trace.version }, more);
  }

  async *#leaveIfFinished(): AsyncGenerator<FrameBatch, void> {
    if (!this.#opened || this.#finishedLooks === 0 || this.#isChunkGrowing) return;
    if (!this.#chunks.hasNext) {
      if (!this.#chunks.hasUnnamed) await this.#streams.endQuiet();
    } else if (this.#isSettled) await this.#leave();
    const frames = this.#frames.take();
    if (frames.length > 0) yield { slab: undefined, frames };
  }

  /** Whether what has become of the chunk is known, or will not be. */
  get #isSettled(): boolean {
    return (
      this.#layout?.closeTimeS !== undefined || this.#chunks.isGone || this.#finishedLooks > 5 * patience
    );
  }

  /** Goes over to the next chunk. */
  async #leave(): Promise<void> {
    const frames = this.#frames;
    const before = this.#layout as ChunkLayout;
    const chunk = frames.chunk;
    const traces = this.#traces;
    for (const trace of traces.values()) this.#chunks.leave(trace.inodes());
    const sync = frames.beacons.due(true);
    this.#traces = new Map();
    await this.#enter();
    await this.#openChunk(before.closeTimeS);
    const goOn = before.overrideName === undefined && this.#layout?.overrideName === undefined;
    await this.#streams.switchTo(goOn ? this.#traces : new Map());
    for (const trace of traces.values()) {
      await trace.close();
      const goesOn = this.#traces.get(trace.path);
      if (goesOn !== undefined) goesOn.version = trace.version;
      const metadata = frames.stream(streamKey(trace.path, 'metadata'));
      if (metadata === undefined) continue;
      if (goesOn !== undefined) frames.switchStream(metadata);
      else frames.endStream(metadata);
    }
    if (chunk !== undefined) {
      const action =
        before.closeTimeS !== undefined ? 'moveToCompleted' : this.#chunks.isGone ? 'delete' : 'none';
      frames.chunkDone(chunk, action, before.closeTimeS);
    }
    if (sync !== undefined) frames.add(sync);
    this.#chunks.missing = 0;
    this.#finishedLooks = 0;
  }

  /** Nothing more will come: files that never had a packet are streams too, and everything is closed. */
  async *finish(): AsyncGenerator<FrameBatch, void> {
    if (!this.#opened) return;
    for (const trace of this.#traces.values())
      for (const files of await trace.newFiles(true)) this.#streams.adopt(trace, files);
    const sync = this.#frames.beacons.due(true);
    if (sync !== undefined) this.#frames.add(sync);
    this.#frames.end(this.#damaged ? 'abort' : 'end', this.#layout?.closeTimeS);
    yield { slab: undefined, frames: this.#frames.take() };
  }

  async close(): Promise<void> {
    for (const trace of this.#traces.values()) await trace.close();
    await this.#streams.close();
  }
}
