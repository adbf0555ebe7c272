/**
 * Follows one session of a growing directory: trace chunk after trace chunk, as they are made, renamed, archived or
 * deleted. A chunk is known by the inodes of its files, wherever it lies. It is left when another one is there and
 * nobody writes into it any more: then each stream goes over to its file in the next.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MillraceError } from '../errors.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { metadataBatches } from '../stage/metadata-batches.ts';
import { sessionFacts } from '../stage/session-facts.ts';
import { SessionFrames, type SessionStream, streamKey } from '../stage/session-frames.ts';
import { FollowTrace, inodeOf, type NewFiles } from './follow-trace.ts';
import { PacketWindow } from './packet-window.ts';
import type { ChunkLayout, SessionLayout } from './session-layout.ts';
import type { SourceContext } from './session-reader.ts';
import { TailStream } from './tail-stream.ts';

/** Looks at the directory after which what has not changed is believed to stay. */
const patience = 4;

/** A stream and the state of its files. */
interface Followed {
  stream: SessionStream;
  tail: TailStream;
  trace: FollowTrace;
  instance: string | undefined;
  /** Looks since it was seen growing. */
  quiet: number;
}

/** See the file's head. */
export class FollowSession {
  readonly #path: string;
  readonly #context: SourceContext;
  readonly #frames: SessionFrames;
  #layout: ChunkLayout | undefined;
  #traces = new Map<string, FollowTrace>();
  readonly #streams = new Map<string, Followed>();
  /** Chunks that wait to be entered, in order, with the number of looks at which each was there. */
  #next: ChunkLayout[] = [];
  #newChunkLooks = 0;
  /** Inodes of chunks that have been left. */
  readonly #left = new Set<bigint>();
  #missing = 0;
  #finishedLooks = 0;
  #opened = false;
  #sawWriter = false;
  #damaged = false;

  constructor(path: string, context: SourceContext) {
    this.#path = path;
    this.#context = context;
    this.#frames = new SessionFrames(context.handle, context.syncIntervalMs);
  }

  get opened(): boolean {
    return this.#opened;
  }

  /** Whether anybody writes, or something is left to be read. */
  get isGrowing(): boolean {
    return this.#isChunkGrowing || this.#next.length > 0;
  }

  get #isChunkGrowing(): boolean {
    for (const trace of this.#traces.values()) if (trace.metadataGrows || trace.isPendingGrowing) return true;
    for (const { tail } of this.#streams.values()) if (tail.isGrowing) return true;
    return false;
  }

  /** Takes in what the directory looks like now. Errors: MR_ERR_DISK_READ. */
  async update({ chunks }: SessionLayout): Promise<void> {
    const own = new Set([...this.#traces.values()].flatMap((trace) => [...trace.inodes()]));
    const next: ChunkLayout[] = [];
    let current: ChunkLayout | undefined;
    for (const chunk of chunks) {
      const inodes = await this.#inodesOf(chunk);
      if (inodes.some((inode) => own.has(inode))) current ??= chunk;
      else if (!inodes.some((inode) => this.#left.has(inode))) next.push(chunk);
    }
    // Until it has its name, it is not known what it is called; one whose relay died keeps the temporary one.
    const temporary = next.some(({ path }) => path.endsWith('.tmp_new_chunk'));
    this.#newChunkLooks = temporary ? this.#newChunkLooks + 1 : 0;
    this.#next =
      this.#newChunkLooks > patience ? next : next.filter(({ path }) => !path.endsWith('.tmp_new_chunk'));
    this.#missing = current === undefined ? this.#missing + 1 : 0;
    if (current !== undefined) await this.#updateChunk(current);
    this.#finishedLooks = this.#layout !== undefined && !this.#isChunkGrowing ? this.#finishedLooks + 1 : 0;
    for (const followed of this.#streams.values())
      followed.quiet = followed.tail.isGrowing ? 0 : followed.quiet + 1;
  }

  async #inodesOf({ traces }: ChunkLayout): Promise<bigint[]> {
    const inodes: bigint[] = [];
    for (const { found } of traces)
      for (const name of ['metadata', ...found.streamFiles]) {
        const inode = await inodeOf(join(this.#context.root, found.path, name));
        if (inode !== undefined) inodes.push(inode);
      }
    return inodes;
  }

  async #updateChunk(layout: ChunkLayout): Promise<void> {
    this.#layout = layout;
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
      const files = [...this.#streams.values()].filter((followed) => followed.trace === trace);
      await trace.update(
        directory,
        of,
        files.flatMap(({ tail }) => tail.files),
      );
    }
  }

  /** Everything that can be read now. */
  async *round(): AsyncGenerator<FrameBatch, void> {
    if (this.#layout === undefined) await this.#enter();
    if (!this.#opened && !(await this.#open())) return;
    // What packets need had been committed before them: so the packets are looked at first.
    const metadata = [];
    for (const trace of this.#traces.values()) {
      const isKnown = this.#frames.stream(streamKey(trace.path, 'metadata')) !== undefined;
      if (isKnown && trace.metadataBytes > 0) await this.#lookAt(trace);
      metadata.push({ trace, more: await trace.moreMetadata() });
    }
    for (const { trace, more } of metadata) if (more.length > 0) this.#openMetadata(trace);
    const frames = this.#frames.take();
    if (frames.length > 0) yield { slab: undefined, frames };
    for (const { trace, more } of metadata) yield* this.#metadata(trace, more);
    yield* this.#packets();
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

  /** Goes into the next chunk that is there; its frames come with the session's, if that is not open yet. */
  async #enter(): Promise<void> {
    const layout = this.#next.shift();
    if (layout === undefined) return;
    await this.#updateChunk(layout);
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

  /** New files of a trace, and new packets of those that are known. */
  async #lookAt(trace: FollowTrace): Promise<void> {
    let isNew = false;
    for (const files of await trace.newFiles(false)) isNew = this.#adopt(trace, files) || isNew;
    if (isNew) this.#frames.published();
    for (const followed of this.#streams.values()) if (followed.trace === trace) await followed.tail.look();
  }

  /** Gives files to their stream. Returns whether that is a new one. */
  #adopt(trace: FollowTrace, { channelName, instance, files }: NewFiles): boolean {
    const known = [...this.#streams.values()].find(
      (followed) =>
        followed.trace === trace &&
        (instance === undefined || followed.instance === undefined
          ? followed.tail.names.has(files[0]?.name ?? '')
          : followed.instance === instance),
    );
    const followed = known ?? this.#openStream(trace, channelName);
    followed.instance ??= instance;
    for (const file of files) followed.tail.add(file);
    return known === undefined;
  }

  #openStream(trace: FollowTrace, channelName: string): Followed {
    // A stream of this name has been before: two of one name cannot lie side by side.
    const stream = this.#frames.openStream(trace.path, channelName, trace.metadataBytes);
    const tail = new TailStream();
    const followed = { stream, tail, trace, instance: undefined, quiet: 0 };
    this.#streams.set(stream.key, followed);
    return followed;
  }

  async *#packets(): AsyncGenerator<FrameBatch, void> {
    const { beacons } = this.#frames;
    const window = new PacketWindow(this.#context.slabs);
    for (const { stream, tail, trace } of this.#streams.values()) {
      stream.metadataBytes = trace.metadataBytes;
      if (tail.isGrowing) this.#sawWriter ||= tail.files.some(({ writing }) => writing);
      await window.add({ stream, cursor: tail });
    }
    const passed = ({ handle }: SessionStream, netSeqNum: bigint) => beacons.moved(handle, netSeqNum);
    for await (const batch of window.batches(passed)) {
      const sync = beacons.due();
      if (sync !== undefined) batch.frames.push(sync);
      yield batch;
    }
    const sync = beacons.due();
    if (sync !== undefined) yield { slab: undefined, frames: [sync] };
  }

  async *#leaveIfFinished(): AsyncGenerator<FrameBatch, void> {
    if (!this.#opened || this.#finishedLooks === 0 || this.#isChunkGrowing) return;
    const [next] = this.#next;
    if (next === undefined) {
      // Its producer has closed it; a rotation would have left a file that goes on.
      if (this.#sawWriter && this.#newChunkLooks === 0)
        for (const followed of this.#streams.values())
          if (followed.quiet > patience) await this.#end(followed);
    } else if (this.#isSettled) await this.#leave();
    const frames = this.#frames.take();
    if (frames.length > 0) yield { slab: undefined, frames };
  }

  /** Whether what has become of the chunk is known, or will not be. */
  get #isSettled(): boolean {
    return this.#layout?.closeTimeS !== undefined || this.#missing > 1 || this.#finishedLooks > 5 * patience;
  }

  /** Goes over to the next chunk. */
  async #leave(): Promise<void> {
    const frames = this.#frames;
    const before = this.#layout as ChunkLayout;
    const chunk = frames.chunk;
    const traces = this.#traces;
    for (const trace of traces.values()) for (const inode of trace.inodes()) this.#left.add(inode);
    const sync = frames.beacons.due(true);
    this.#traces = new Map();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    await this.#enter();
    await this.#openChunk(before.closeTimeS);
    for (const { stream, tail, trace, instance } of streams) {
      const trace2 = this.#traces.get(trace.path);
      const name = [...tail.names].find((own) => trace2?.hasPending(own));
      await tail.close();
      const goesOn = before.overrideName === undefined && this.#layout?.overrideName === undefined;
      if (trace2 === undefined || name === undefined || !goesOn) {
        frames.endStream(stream);
        continue;
      }
      const next = new TailStream();
      const file = trace2.takePending(name);
      if (file !== undefined) next.add(file);
      this.#streams.set(stream.key, { stream, tail: next, trace: trace2, instance, quiet: 0 });
      frames.switchStream(stream);
    }
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
        before.closeTimeS !== undefined ? 'moveToCompleted' : this.#missing > 1 ? 'delete' : 'none';
      frames.chunkDone(chunk, action, before.closeTimeS);
    }
    if (sync !== undefined) frames.add(sync);
    this.#missing = 0;
    this.#finishedLooks = 0;
  }

  async #end({ stream, tail }: Followed): Promise<void> {
    this.#streams.delete(stream.key);
    await tail.close();
    this.#frames.endStream(stream);
  }

  /** Nothing more will come: files that never had a packet are streams too, and everything is closed. */
  async *finish(): AsyncGenerator<FrameBatch, void> {
    if (!this.#opened) return;
    for (const trace of this.#traces.values())
      for (const files of await trace.newFiles(true)) this.#adopt(trace, files);
    const sync = this.#frames.beacons.due(true);
    if (sync !== undefined) this.#frames.add(sync);
    this.#frames.end(this.#damaged ? 'abort' : 'end', this.#layout?.closeTimeS);
    yield { slab: undefined, frames: this.#frames.take() };
  }

  async close(): Promise<void> {
    for (const trace of this.#traces.values()) await trace.close();
    for (const { tail } of this.#streams.values()) await tail.close();
  }
}
