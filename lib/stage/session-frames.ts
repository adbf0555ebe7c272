/** The control frames of one session: which streams are open, in which trace chunk, and how far each is. */

import { Beacons } from './beacons.ts';
import type { Frame, SessionEnd } from './frames.ts';

/** What becomes of a chunk, as far as it is known. */
export interface ChunkFacts {
  id: bigint;
  creationTimeS: bigint;
  overrideName: string | undefined;
}

/** How a stream is to be split into tracefiles; nothing: one file. */
export interface Tracefiles {
  sizeBytes: number;
  count: number;
}

/** A stream that has been opened, over all its chunks. */
export interface SessionStream {
  readonly key: string;
  readonly handle: number;
  readonly isMetadata: boolean;
  /** Number of the next packet. */
  next: bigint;
  /** Of its last packet; undefined: none, or the tracer does not count. */
  packetSeqNum: bigint | undefined;
  /** Metadata of its trace that has been sent. */
  metadataBytes: number;
}

/** Streams are known by their trace's path and their channel's name; NUL is in neither. */
export function streamKey(tracePath: string, channelName: string): string {
  return `${tracePath}\0${channelName}`;
}

/** See the file's head. Frames are gathered by `add` and taken by `take`. */
export class SessionFrames {
  readonly session: number;
  readonly beacons: Beacons;
  readonly #handle: () => number;
  readonly #streams = new Map<string, SessionStream>();
  #frames: Frame[] = [];
  #chunk: ChunkFacts | undefined;

  /** `handle`: a number for the next session or stream of the source. */
  constructor(handle: () => number, syncIntervalMs: number) {
    this.session = handle();
    this.#handle = handle;
    this.beacons = new Beacons(this.session, syncIntervalMs);
  }

  get chunk(): ChunkFacts | undefined {
    return this.#chunk;
  }

  /** All open streams; may be ended while they are gone through. */
  get streams(): Iterable<SessionStream> {
    return this.#streams.values();
  }

  stream(key: string): SessionStream | undefined {
    return this.#streams.get(key);
  }

  take(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  /** Any frame that needs nothing to be remembered. */
  add(...frames: readonly Frame[]): void {
    this.#frames.push(...frames);
  }

  /** The session's chunk from now on; the one before is still to be done with. */
  openChunk(chunk: ChunkFacts): void {
    const { id, creationTimeS, overrideName } = chunk;
    this.#frames.push({ kind: 'chunkOpen', session: this.session, chunk: id, creationTimeS, overrideName });
    this.#chunk = chunk;
  }

  /** Every stream has left it. */
  chunkDone({ id }: ChunkFacts, action: 'none' | 'moveToCompleted' | 'delete', closeTimeS?: bigint): void {
    this.#frames.push({
      kind: 'chunkDone',
      session: this.session,
      chunk: id,
      closeTimeS: closeTimeS ?? BigInt(Math.floor(Date.now() / 1000)),
      action,
    });
  }

  /** Opens a stream in the current chunk. */
  openStream(
    path: string,
    channelName: string,
    metadataBytes: number,
    { sizeBytes, count }: Tracefiles = { sizeBytes: 0, count: 0 },
  ): SessionStream {
    const key = streamKey(path, channelName);
    const isMetadata = channelName === 'metadata';
    const stream: SessionStream = {
      key,
      handle: this.#handle(),
      isMetadata,
      next: 0n,
      packetSeqNum: undefined,
      metadataBytes,
    };
    this.#streams.set(key, stream);
    if (!isMetadata) this.beacons.open(stream.handle);
    this.#frames.push({
      kind: 'streamOpen',
      session: this.session,
      stream: stream.handle,
      channelName,
      path,
      tracefileSizeBytes: BigInt(sizeBytes),
      tracefileCount: BigInt(count),
    });
    return stream;
  }

  /**
   * A stream goes over to the current chunk: at the packet after its last, else at the first that is there; 0, at once,
   * where packets are not counted. Where packets are missing between the two both mean the same, but lttng-relayd goes
   * over when the last one before the split has come, and would put the first packet behind a gap in front of it.
   */
  switchStream(stream: SessionStream, first?: bigint): void {
    const { handle, isMetadata, packetSeqNum } = stream;
    const following = packetSeqNum === undefined ? (first ?? 0n) : packetSeqNum + 1n;
    const split = first !== undefined && first < following ? first : following;
    this.#frames.push({
      kind: 'switch',
      stream: handle,
      atPacketSeqNum: isMetadata ? 0n : split,
      chunk: this.#chunk?.id,
    });
  }

  endStream({ key, handle, next }: SessionStream): void {
    this.#streams.delete(key);
    this.beacons.end(handle);
    const lastNetSeqNum = next === 0n ? undefined : next - 1n;
    this.#frames.push({ kind: 'streamEnd', session: this.session, stream: handle, lastNetSeqNum });
  }

  published(): void {
    this.#frames.push({ kind: 'published', session: this.session });
  }

  /** The end of everything that is still open. */
  end(outcome: SessionEnd['outcome'], closeTimeS?: bigint): void {
    for (const stream of this.#streams.values()) this.endStream(stream);
    if (this.#chunk !== undefined)
      this.chunkDone(this.#chunk, closeTimeS === undefined ? 'none' : 'moveToCompleted', closeTimeS);
    this.#frames.push({ kind: 'sessionEnd', session: this.session, outcome });
  }
}
