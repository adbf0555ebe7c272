/** The streams of a growing session: which files are whose, what is new in them, and who goes on in the next chunk. */
import type { FrameBatch } from '../stage/batch.ts';
import type { SessionFrames, SessionStream } from '../stage/session-frames.ts';
import { patience } from './follow-chunks.ts';
import type { FollowTrace, NewFiles } from './follow-trace.ts';
import { PacketWindow } from './packet-window.ts';
import type { SourceContext } from './session-reader.ts';
import type { TailFile } from './tail-file.ts';
import { TailStream } from './tail-stream.ts';

/** A stream and the state of its files. */
interface Followed {
  stream: SessionStream;
  tail: TailStream;
  trace: FollowTrace;
  instance: string | undefined;
  /** Looks since it was seen growing. */
  quiet: number;
}

/** See the file's head. Errors of methods that look or read: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
export class FollowStreams {
  readonly #frames: SessionFrames;
  readonly #slabs: SourceContext['slabs'];
  readonly #streams = new Map<string, Followed>();
  #sawWriter = false;

  constructor(frames: SessionFrames, slabs: SourceContext['slabs']) {
    this.#frames = frames;
    this.#slabs = slabs;
  }

  /** Whether anybody writes one, or packets are left. */
  get isGrowing(): boolean {
    for (const { tail } of this.#streams.values()) if (tail.isGrowing) return true;
    return false;
  }

  filesOf(trace: FollowTrace): TailFile[] {
    const own = [...this.#streams.values()].filter((followed) => followed.trace === trace);
    return own.flatMap(({ tail }) => tail.files);
  }

  /** The directory was looked at. */
  looked(): void {
    for (const followed of this.#streams.values())
      followed.quiet = followed.tail.isGrowing ? 0 : followed.quiet + 1;
  }

  /** New files of a trace, and new packets of those that are known. */
  async lookAt(trace: FollowTrace): Promise<void> {
    let isNew = false;
    for (const files of await trace.newFiles(false)) isNew = this.adopt(trace, files) || isNew;
    if (isNew) this.#frames.published();
    for (const followed of this.#streams.values()) if (followed.trace === trace) await followed.tail.look();
  }

  /** Gives files to their stream. Returns whether that is a new one. */
  adopt(trace: FollowTrace, { channelName, instance, files }: NewFiles): boolean {
    const known = [...this.#streams.values()].find(
      (followed) =>
        followed.trace === trace &&
        (instance === undefined || followed.instance === undefined
          ? followed.tail.names.has(files[0]?.name ?? '')
          : followed.instance === instance),
    );
    const followed = known ?? this.#open(trace, channelName);
    followed.instance ??= instance;
    for (const file of files) followed.tail.add(file);
    return known === undefined;
  }

  #open(trace: FollowTrace, channelName: string): Followed {
    // A stream of this name has been before: two of one name cannot lie side by side.
    const stream = this.#frames.openStream(trace.path, channelName, trace.metadataBytes);
    const followed = { stream, tail: new TailStream(), trace, instance: undefined, quiet: 0 };
    this.#streams.set(stream.key, followed);
    return followed;
  }

  /** Packets that were found, with the beacons that are due. */
  async *packets(): AsyncGenerator<FrameBatch, void> {
    const { beacons } = this.#frames;
    const window = new PacketWindow(this.#slabs);
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

  /** Those that nobody writes any more: their producer has closed them, a rotation would have left files that go on. */
  async endQuiet(): Promise<void> {
    if (!this.#sawWriter) return;
    for (const followed of this.#streams.values()) if (followed.quiet > patience) await this.#end(followed);
  }

  async #end({ stream, tail }: Followed): Promise<void> {
    this.#streams.delete(stream.key);
    await tail.close();
    this.#frames.endStream(stream);
  }

  /** They leave their chunk; each goes on with its file in one of `traces`, those of the next, or ends. */
  async switchTo(traces: ReadonlyMap<string, FollowTrace>): Promise<void> {
    for (const followed of this.#streams.values()) {
      const { stream, tail, trace, instance } = followed;
      const next = traces.get(trace.path);
      const name = [...tail.names].find((own) => next?.hasPending(own));
      const file = name === undefined ? undefined : next?.takePending(name);
      if (next === undefined || file === undefined) {
        await this.#end(followed);
        continue;
      }
      await tail.close();
      const goesOn = new TailStream();
      goesOn.add(file);
      this.#streams.set(stream.key, { stream, tail: goesOn, trace: next, instance, quiet: 0 });
      this.#frames.switchStream(stream);
    }
  }

  async close(): Promise<void> {
    for (const { tail } of this.#streams.values()) await tail.close();
  }
}
