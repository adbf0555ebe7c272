/**
 * A live session as its viewer: every consumer daemon's part of it, attached over one connection after another, read
 * round by round (`live-streams.ts` is what is known of its streams).
 */
import { MillraceError } from '../../errors.ts';
import type { FrameBatch } from '../../stage/batch.ts';
import type { Frame } from '../../stage/frames.ts';
import { metadataBatches } from '../../stage/metadata-batches.ts';
import { sessionFacts } from '../../stage/session-facts.ts';
import { SessionFrames, streamKey } from '../../stage/session-frames.ts';
import { tell } from '../../telemetry.ts';
import { attachStatus, newStreamsStatus, seeks } from '../../wire/live/index.ts';
import { type SessionEntry, sessionEntry } from './list-sessions.ts';
import { LivePackets, type PacketOwner } from './live-packets.ts';
import { LiveStreams } from './live-streams.ts';
import type { LiveStream, LiveTrace } from './live-trace.ts';
import type { LiveSourceOptions } from './options.ts';
import type { ViewerChannel } from './viewer-channel.ts';

/** One consumer daemon's part. */
interface Part {
  sessionId: bigint;
  /** Its producer has gone, and nothing new will come of it. */
  isOver: boolean;
  askAtMs: number;
}

/** How often it is asked for streams and parts that nobody announced, milliseconds. Source: live-protocol, "Checklists". */
const newsMs = 1000;

/** See the file's head. Errors of all methods: those of the channel, MR_ERR_LIVE_SESSION, MR_ERR_LIVE_REPLY. */
export class LiveSession implements PacketOwner {
  readonly slabs: PacketOwner['slabs'];
  readonly #options: LiveSourceOptions;
  readonly #frames: SessionFrames;
  readonly #packets = new LivePackets(this);
  #channel: ViewerChannel | undefined;
  #relayProcess: bigint | undefined;
  #parts = new Map<bigint, Part>();
  #isKnown = false;
  #liveTimerUs = 0;
  readonly #streams: LiveStreams;
  #isOpen = false;
  #listAtMs = 0;

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
  }

  /** Whether it has ever been attached. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /**
   * Attaches every part that is listed, on a new connection or an old one. Returns whether there is one. Errors:
   * MR_ERR_LIVE_SESSION where the relay refuses, MR_ERR_NETWORK_LOST where it does only for now.
   */
  async attach(channel: ViewerChannel): Promise<boolean> {
    const again = this.#channel !== channel && this.isKnown;
    if (this.#channel !== channel) this.#reconnected(channel);
    const { sessions } = await channel.ask('listSessions', {});
    this.#listAtMs = performance.now() + newsMs;
    const { hostname, sessionName } = this.#options;
    const own = sessions
      .map(sessionEntry)
      .filter((entry) => entry.hostname === hostname && entry.sessionName === sessionName);
    for (const entry of own)
      if (!this.#parts.has(entry.sessionId)) await this.#attachPart(channel, entry, again);
    if (again && this.#parts.size > 0) await this.#streams.settleEnded(channel);
    this.#isKnown ||= this.#parts.size > 0;
    return this.#parts.size > 0;
  }

  #reconnected(channel: ViewerChannel): void {
    const { relayProcess } = channel;
    this.#streams.reconnected(relayProcess !== undefined && relayProcess === this.#relayProcess);
    this.#channel = channel;
    this.#relayProcess = relayProcess;
    this.#parts = new Map();
  }

  async #attachPart(channel: ViewerChannel, entry: SessionEntry, again: boolean): Promise<void> {
    const { sessionId } = entry;
    // What comes later is read from its beginning.
    const seek = seeks[this.#isKnown ? 'beginning' : (this.#options.seek ?? 'beginning')];
    const { status, streams } = await channel.ask('attachSession', { sessionId, offset: 0n, seek });
    const { hostname, sessionName } = this.#options;
    const refused = (why: string) =>
      new MillraceError('MR_ERR_LIVE_SESSION', {
        peer: channel.peer,
        session: `${hostname}/${sessionName}`,
        why,
      });
    if (status === attachStatus.already && again)
      throw new MillraceError('MR_ERR_NETWORK_LOST', {
        peer: channel.peer,
        why: 'the relay has not noticed yet that the last connection is gone',
      });
    if (status === attachStatus.already) throw refused('another viewer is attached, this relay serves one');
    if (status === attachStatus.notLive) throw refused('it is not a live session');
    // It has ended since it was listed.
    if (status === attachStatus.unknown) return;
    if (status !== attachStatus.ok) throw refused(`the relay refuses to attach it, status ${status}`);
    this.#parts.set(sessionId, { sessionId, isOver: false, askAtMs: 0 });
    this.#liveTimerUs ||= entry.liveTimerUs;
    await this.#streams.show(channel, sessionId, streams);
  }

  /**
   * Everything there is to read now. Returns `moved`, `idle` when there was nothing, or `over` when there will be
   * nothing any more.
   */
  async *round(): AsyncGenerator<FrameBatch, 'moved' | 'idle' | 'over'> {
    const channel = this.#channel as ViewerChannel;
    let moved = false;
    if (performance.now() >= this.#listAtMs) await this.attach(channel);
    for (const part of this.#parts.values())
      if (!part.isOver && performance.now() >= part.askAtMs) await this.#newStreams(channel, part);
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
    return !isShown && [...this.#parts.values()].every(({ isOver }) => isOver) ? 'over' : 'idle';
  }

  *#control(): Generator<FrameBatch> {
    const frames = this.#isOpen ? this.#frames.take() : [];
    if (frames.length > 0) yield { slab: undefined, frames };
  }

  async #newStreams(channel: ViewerChannel, part: Part): Promise<void> {
    const { sessionId } = part;
    const { status, streams } = await channel.ask('getNewStreams', { sessionId });
    part.askAtMs = performance.now() + newsMs;
    if (streams.length > 0) await this.#streams.show(channel, sessionId, streams);
    // Streams that are known may still have packets.
    if (status === newStreamsStatus.hangUp || status === newStreamsStatus.error) part.isOver = true;
  }

  streamsToCome(): void {
    for (const part of this.#parts.values()) part.askAtMs = 0;
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
      for (const sessionId of this.#parts.keys()) await channel.ask('detachSession', { sessionId });
    }
    if (!this.#isOpen) return;
    const sync = this.#frames.beacons.due(true);
    if (sync !== undefined) this.#frames.add(sync);
    this.#frames.end(isCut ? 'abort' : 'end');
    yield* this.#control();
  }
}
