/**
 * A live session as its viewer: every consumer daemon's part of it, attached over one connection after another, read
 * round by round (`live-parts.ts` has the connections, `live-streams.ts` is what is known of its streams).
 */
import type { FrameBatch } from '../../stage/batch.ts';
import type { Frame } from '../../stage/frames.ts';
import { metadataBatches } from '../../stage/metadata-batches.ts';
import { sessionFacts } from '../../stage/session-facts.ts';
import { SessionFrames, streamKey } from '../../stage/session-frames.ts';
import { tell } from '../../telemetry.ts';
import { LivePackets, type PacketOwner } from './live-packets.ts';
import { LiveParts } from './live-parts.ts';
import { LiveStreams } from './live-streams.ts';
import type { LiveStream, LiveTrace } from './live-trace.ts';
import type { LiveSourceOptions } from './options.ts';
import type { ViewerChannel } from './viewer-channel.ts';

/** See the file's head. Errors of all methods: those of the channel, MR_ERR_LIVE_SESSION, MR_ERR_LIVE_REPLY. */
export class LiveSession implements PacketOwner {
  readonly slabs: PacketOwner['slabs'];
  readonly #options: LiveSourceOptions;
  readonly #frames: SessionFrames;
  readonly #packets = new LivePackets(this);
  #channel: ViewerChannel | undefined;
  readonly #streams: LiveStreams;
  readonly #parts: LiveParts;
  #liveTimerUs = 0;
  #isOpen = false;

  constructor(options: LiveSourceOptions, slabs: PacketOwner['slabs']) {
    this.#options = options;
    this.slabs = slabs;
    let handles = 0;
    const handle = () => {
      handles += 1;
      return handles;
    };
    this.#frames = new SessionFrames(handle, options.syncIntervalMs ?? 1000);
    this.#streams = new LiveStreams(options, this.#frames);
    this.#parts = new LiveParts(options, this.#streams);
  }

  /** Whether it has ever been attached. */
  get isKnown(): boolean {
    return this.#parts.isKnown;
  }

  /** What is attached, for who leaves before the end. */
  get attached(): Iterable<bigint> {
    return this.#parts.attached;
  }

  /** Attaches it, on a new connection or an old one. Returns whether it is there. Errors: those of `LiveParts`. */
  async attach(channel: ViewerChannel): Promise<boolean> {
    this.#channel = channel;
    const isThere = await this.#parts.attach(channel);
    this.#liveTimerUs ||= this.#parts.liveTimerUs;
    return isThere;
  }

  /**
   * Everything there is to read now. Returns `moved`, `idle` when there was nothing, or `over` when there will be
   * nothing any more.
   */
  async *round(): AsyncGenerator<FrameBatch, 'moved' | 'idle' | 'over'> {
    const channel = this.#channel as ViewerChannel;
    let moved = false;
    await this.#parts.look(channel);
    for (const trace of this.#streams.traces)
      if (trace.needsMetadata && performance.now() >= trace.askAtMs)
        for await (const batch of this.#metadata(trace)) {
          moved = true;
          yield batch;
        }
    yield* this.#control();
    for await (const batch of this.#packets.round(channel, this.#streams.data)) {
      moved = true;
      yield batch;
      yield* this.#control();
    }
    const sync = this.#frames.beacons.due();
    if (sync !== undefined) yield { slab: undefined, frames: [sync] };
    if (moved) return 'moved';
    const isShown = [...this.#streams.data].some((live) => live.isShown);
    return !isShown && this.#parts.isOver ? 'over' : 'idle';
  }

  *#control(): Generator<FrameBatch> {
    const frames = this.#isOpen ? this.#frames.take() : [];
    if (frames.length > 0) yield { slab: undefined, frames };
  }

  streamsToCome(): void {
    this.#parts.streamsToCome();
  }

  metadata({ trace }: LiveStream): AsyncGenerator<FrameBatch, void> {
    return this.#metadata(trace);
  }

  async *#metadata(trace: LiveTrace): AsyncGenerator<FrameBatch, void> {
    const channel = this.#channel as ViewerChannel;
    await trace.more(channel);
    if (trace.text.length === trace.sentBytes) return;
    if (!this.#isOpen) await this.#open(channel, trace);
    const key = streamKey(trace.path, 'metadata');
    const { handle: stream } = this.#frames.stream(key) ?? this.#frames.openStream(trace.path, 'metadata', 0);
    yield* this.#control();
    const more = trace.text.subarray(trace.sentBytes);
    trace.sentBytes = trace.text.length;
    yield* metadataBatches({ session: this.#frames.session, stream, version: 0 }, more);
  }

  /** The session's opening: its metadata says what the list does not. */
  async #open(channel: ViewerChannel, trace: LiveTrace | undefined): Promise<void> {
    const { hostname, sessionName } = this.#options;
    const names = { hostname, sessionName, liveTimerUs: this.#liveTimerUs };
    const nowS = BigInt(Math.floor(Date.now() / 1000));
    const facts = sessionFacts(
      this.#frames.session,
      { path: sessionName, given: '' },
      trace?.traceClass,
      nowS,
      names,
    );
    this.#frames.add(facts);
    // Which trace chunk it is, the live protocol does not say.
    this.#frames.openChunk({
      id: 0n,
      creationTimeS: facts.creationTimeS ?? nowS,
      overrideName: undefined,
    });
    this.#isOpen = true;
    await this.#streams.opened(channel);
  }

  passed({ stream }: LiveStream, netSeqNum: bigint): void {
    this.#frames.beacons.moved(stream.handle, netSeqNum);
  }

  ended(live: LiveStream, isError: boolean): Frame[] {
    if (isError) {
      const { key } = live.stream;
      tell(
        'warn',
        'live:stream-unknown',
        `the relay does not know stream ${key.replace('\0', '/')} any more`,
      );
    }
    this.streamsToCome();
    return this.#streams.end(live);
  }

  /** The end, after what is left of the metadata. `isCut`: the connection was lost for good. */
  async *finish(isCut: boolean): AsyncGenerator<FrameBatch, void> {
    const channel = this.#channel;
    if (!isCut && channel !== undefined) {
      for (const trace of this.#streams.traces) yield* this.#metadata(trace);
      await this.#parts.detach(channel);
    }
    if (!this.#isOpen) return;
    const sync = this.#frames.beacons.due(true);
    if (sync !== undefined) this.#frames.add(sync);
    this.#frames.end(isCut ? 'abort' : 'end');
    yield* this.#control();
  }
}
