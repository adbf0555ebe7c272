/**
 * What stands open at a point of a stream of frames, and the frames with which somebody who joins there must be told
 * of it, or who leaves there must be told of its end. It keeps facts and metadata text, no packets.
 *
 * One may leave or join only between packets: see `isBetween`.
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { FrameBatch } from './batch.ts';
import type {
  ChunkOpen,
  Data,
  Frame,
  Index,
  Lost,
  Metadata,
  SessionOpen,
  StreamEnd,
  StreamOpen,
  Switch,
} from './frames.ts';
import { looseSlab, type Slab } from './slab.ts';

/** A metadata command that has come whole. */
interface Command {
  text: Buffer;
  paddingSizeBytes: number;
}

interface StandingStream {
  open: StreamOpen;
  isMetadata: boolean;
  lastNetSeqNum: bigint | undefined;
  lastPacketSeqNum: bigint | undefined;
  /** Inside a packet, or a metadata command, that began with this frame. */
  withinSince: number | undefined;
  /** Packets of which one half has come, and with which frame; in that order. */
  halves: Map<bigint, number>;
  /** Those of which the index came first. */
  announced: Set<bigint>;
  /** A change of chunks under way: first packet of the next one, and the frame that said so. */
  switching: { at: bigint; since: number } | undefined;
  /** Its first packet since then has no metadata yet: it cannot be read. */
  bareSince: number | undefined;
  /** Metadata: what the file holds by now. */
  version: number;
  commands: Command[];
  parts: Buffer[];
  bytes: number;
}

interface StandingSession {
  open: SessionOpen;
  isIndexed: boolean;
  isPublished: boolean;
  chunks: Map<bigint, { open: ChunkOpen; since: number }>;
  streams: Set<number>;
}

/** Sessions whose packets have no index: snapshots, and producers before 2.4. Source: relay-protocol §10.1. */
export const indexesSince = 4;

/** See the file's head. */
export class Standing {
  readonly #sessions = new Map<number, StandingSession>();
  readonly #streams = new Map<number, StandingStream>();
  /** Streams that are within something, or have half packets. */
  readonly #busy = new Set<StandingStream>();

  /** By stream, where somebody knows it: the packet sequence number of the last packet in front of what was taken. */
  #lastBefore: ReadonlyMap<number, bigint> | undefined;

  /**
   * Frames are taken from a point on where streams are open already: `last` says how far they were. A change of chunks
   * whose stream is not in it is taken to be under way until a packet tells.
   */
  begins(last: ReadonlyMap<number, bigint>): void {
    this.#lastBefore = last;
  }

  /** Nothing is open. */
  get isEmpty(): boolean {
    return this.#sessions.size === 0;
  }

  /** Whether packets have indexes, in every session that is open. */
  get isIndexed(): boolean {
    for (const { isIndexed } of this.#sessions.values()) if (!isIndexed) return false;
    return true;
  }

  /** `PATH/CHANNEL` of an open stream, for people. */
  nameOf(stream: number): string {
    const open = this.#streams.get(stream)?.open;
    return open === undefined ? String(stream) : `${open.path}/${open.channelName}`;
  }

  /** Whether no packet, command or rotation is under way, so that what comes next can go elsewhere. */
  get isBetween(): boolean {
    return this.unfinishedSince === undefined;
  }

  /** Whether a packet or a command has come in part. */
  get isWithin(): boolean {
    for (const { withinSince } of this.#busy) if (withinSince !== undefined) return true;
    return false;
  }

  /** Whether an index has come whose data has not. */
  get awaitsData(): boolean {
    for (const { announced } of this.#busy) if (announced.size > 0) return true;
    return false;
  }

  /** The first frame of the oldest packet, command or rotation under way. */
  get unfinishedSince(): number | undefined {
    let first = Number.POSITIVE_INFINITY;
    for (const { withinSince, halves, switching } of this.#busy) {
      const [half] = halves.values();
      first = Math.min(first, withinSince ?? first, half ?? first, switching?.since ?? first);
    }
    for (const { chunks } of this.#sessions.values()) {
      const [, second] = chunks.values();
      first = Math.min(first, second?.since ?? first);
    }
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /** The first packet whose trace has no metadata yet: producers of sessions that are not live send it last. */
  get bareSince(): number | undefined {
    let first = Number.POSITIVE_INFINITY;
    for (const { bareSince } of this.#streams.values()) first = Math.min(first, bareSince ?? first);
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /** Takes note of a frame. `at`: its number, for `unfinishedSince`. Errors: MR_ERR_WIRE_LONG for more metadata of a stream than `limits.metadataBytes`. */
  take(frame: Frame, slab: Slab | undefined, at = 0): void {
    switch (frame.kind) {
      case 'sessionOpen':
        this.#sessions.set(frame.session, {
          open: frame,
          isIndexed: frame.minor >= indexesSince && !frame.snapshot,
          isPublished: false,
          chunks: new Map(),
          streams: new Set(),
        });
        return;
      case 'sessionEnd':
        for (const stream of this.#sessions.get(frame.session)?.streams ?? []) this.#forget(stream);
        this.#sessions.delete(frame.session);
        return;
      case 'chunkOpen':
        this.#sessions.get(frame.session)?.chunks.set(frame.chunk, { open: frame, since: at });
        return;
      case 'chunkDone':
        this.#sessions.get(frame.session)?.chunks.delete(frame.chunk);
        return;
      case 'streamOpen':
        this.#open(frame);
        return;
      case 'streamEnd':
        this.#sessions.get(frame.session)?.streams.delete(frame.stream);
        this.#forget(frame.stream);
        return;
      case 'published': {
        const session = this.#sessions.get(frame.session);
        if (session !== undefined) session.isPublished = true;
        return;
      }
      default:
        this.#packet(frame, slab, at);
    }
  }

  #open(frame: StreamOpen): void {
    this.#sessions.get(frame.session)?.streams.add(frame.stream);
    this.#streams.set(frame.stream, {
      open: frame,
      isMetadata: frame.channelName === 'metadata',
      lastNetSeqNum: undefined,
      lastPacketSeqNum: undefined,
      withinSince: undefined,
      halves: new Map(),
      announced: new Set(),
      switching: undefined,
      bareSince: undefined,
      version: 0,
      commands: [],
      parts: [],
      bytes: 0,
    });
  }

  #forget(handle: number): void {
    const stream = this.#streams.get(handle);
    if (stream !== undefined) this.#busy.delete(stream);
    this.#streams.delete(handle);
  }

  #packet(frame: Frame, slab: Slab | undefined, at: number): void {
    const stream = 'stream' in frame ? this.#streams.get(frame.stream) : undefined;
    if (stream === undefined) return;
    if (frame.kind === 'data') this.#data(stream, frame, at);
    else if (frame.kind === 'index') this.#index(stream, frame, at);
    else if (frame.kind === 'lost') lost(stream, frame);
    else if (frame.kind === 'metadata') this.#metadata(stream, frame, slab, at);
    else if (frame.kind === 'switch') {
      if (stream.isMetadata) begin(stream, stream.version);
      else if (this.#isAhead(stream, frame)) stream.switching = { at: frame.atPacketSeqNum, since: at };
    }
    const { withinSince, halves, switching } = stream;
    if (withinSince !== undefined || halves.size > 0 || switching !== undefined) this.#busy.add(stream);
    else this.#busy.delete(stream);
  }

  #isAhead({ lastPacketSeqNum }: StandingStream, { stream, atPacketSeqNum }: Switch): boolean {
    const last = lastPacketSeqNum ?? this.#lastBefore?.get(stream);
    if (last === undefined) return this.#lastBefore !== undefined && atPacketSeqNum > 0n;
    return last + 1n < atPacketSeqNum;
  }

  #data(stream: StandingStream, { netSeqNum, last }: Data, at: number): void {
    const since = stream.withinSince ?? at;
    stream.withinSince = last ? undefined : since;
    if (!last) return;
    stream.lastNetSeqNum = netSeqNum;
    stream.announced.delete(netSeqNum);
    if (stream.bareSince === undefined && !this.#isDescribed(stream)) stream.bareSince = since;
    this.#half(stream, netSeqNum, since);
  }

  #index(stream: StandingStream, { netSeqNum, packetSeqNum }: Index, at: number): void {
    this.#half(stream, netSeqNum, at);
    if (stream.halves.has(netSeqNum)) stream.announced.add(netSeqNum);
    stream.lastPacketSeqNum = packetSeqNum;
    if (packetSeqNum !== undefined && packetSeqNum + 1n >= (stream.switching?.at ?? 0n))
      stream.switching = undefined;
  }

  /** Streams of one path are one trace. */
  *#traceOf({ open }: StandingStream): Generator<StandingStream> {
    for (const handle of this.#sessions.get(open.session)?.streams ?? []) {
      const other = this.#streams.get(handle);
      if (other?.open.path === open.path) yield other;
    }
  }

  #isDescribed(stream: StandingStream): boolean {
    for (const other of this.#traceOf(stream)) if (other.commands.length > 0) return true;
    return false;
  }

  #half(stream: StandingStream, netSeqNum: bigint, since: number): void {
    if (this.#isIndexed(stream) && !stream.halves.delete(netSeqNum)) stream.halves.set(netSeqNum, since);
  }

  #isIndexed({ open }: StandingStream): boolean {
    return this.#sessions.get(open.session)?.isIndexed ?? true;
  }

  /** Copied: packets' slabs must not stay because of it. */
  #metadata(stream: StandingStream, frame: Metadata, slab: Slab | undefined, at: number): void {
    if (frame.version !== stream.version) begin(stream, frame.version);
    stream.withinSince = frame.last ? undefined : (stream.withinSince ?? at);
    if (slab !== undefined && frame.end > frame.start)
      stream.parts.push(Buffer.from(slab.bytes.subarray(frame.start, frame.end)));
    stream.bytes += frame.end - frame.start;
    if (stream.bytes > limits.metadataBytes) {
      const expected = limits.metadataBytes;
      throw new MillraceError('MR_ERR_WIRE_LONG', { what: 'metadata', got: stream.bytes, expected });
    }
    if (!frame.last) return;
    const text = Buffer.concat(stream.parts);
    stream.parts = [];
    if (text.length === 0) return;
    stream.commands.push({ text, paddingSizeBytes: frame.paddingSizeBytes });
    for (const other of this.#traceOf(stream)) other.bareSince = undefined;
  }

  /** What to tell who joins here; each batch is the receiver's. `rename`: under which name sessions go on. */
  *opening(rename: (open: SessionOpen) => SessionOpen = (open) => open): Generator<FrameBatch> {
    for (const { open, chunks, streams, isPublished } of this.#sessions.values()) {
      const { session } = open;
      const opened = [...streams].map((handle) => this.#streams.get(handle) as StandingStream);
      const frames: Frame[] = [
        rename(open),
        ...[...chunks.values()].map((chunk) => chunk.open),
        ...opened.map((stream) => stream.open),
      ];
      if (isPublished) frames.push({ kind: 'published', session });
      yield { slab: undefined, frames };
      for (const stream of opened)
        for (const { text, paddingSizeBytes } of stream.commands) {
          const range = { start: 0, end: text.length, last: true, paddingSizeBytes };
          const which = { session, stream: stream.open.stream, version: stream.version };
          yield { slab: looseSlab(text), frames: [{ kind: 'metadata', ...which, ...range }] };
        }
    }
  }

  /** What to tell who leaves here: the end of everything, in good order. `closeTimeS`: seconds since 1970. */
  closing(closeTimeS = BigInt(Math.floor(Date.now() / 1000))): Frame[] {
    return [...this.#sessions.values()].flatMap(({ open: { session }, chunks, streams }): Frame[] => [
      ...[...streams].map((stream): StreamEnd => {
        const { isMetadata, lastNetSeqNum } = this.#streams.get(stream) as StandingStream;
        return { kind: 'streamEnd', session, stream, lastNetSeqNum: isMetadata ? undefined : lastNetSeqNum };
      }),
      ...[...chunks.keys()].map(
        (chunk): Frame => ({ kind: 'chunkDone', session, chunk, closeTimeS, action: 'none' }),
      ),
      { kind: 'sessionEnd', session, outcome: 'end' },
    ]);
  }
}

/** An empty metadata file begins. */
function begin(stream: StandingStream, version: number): void {
  stream.version = version;
  stream.commands = [];
  stream.parts = [];
  stream.bytes = 0;
}

function lost(stream: StandingStream, { netSeqNum }: Lost): void {
  stream.withinSince = undefined;
  stream.halves.delete(netSeqNum);
  stream.announced.delete(netSeqNum);
}
