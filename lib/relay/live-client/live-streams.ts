/**
 * What a live client knows of its session's traces and streams, over all its connections, so that the next connection
 * goes on where the last one broke off.
 */
import type { Frame } from '../../stage/frames.ts';
import { type SessionFrames, streamKey } from '../../stage/session-frames.ts';
import { seekStatus, type ViewerReplyOf } from '../../wire/live/index.ts';
import { type LiveStream, LiveTrace, lostPackets } from './live-trace.ts';
import type { ViewerChannel } from './viewer-channel.ts';

type Entry = ViewerReplyOf<'attachSession'>['streams'][number];

/**
 * Where streams are that a relay shows: at their beginning, behind what is there, or, on a connection that follows
 * another, where the relay left them. `new`: they were not there when the session was attached.
 */
export type Places = 'beginning' | 'last' | 'kept' | 'new';

interface Shown {
  entry: Entry;
  sessionId: bigint;
  places: Places;
}

/** See the file's head. Errors of all methods that ask: those of the channel. */
export class LiveStreams {
  readonly #names: { hostname: string; sessionName: string };
  readonly #frames: SessionFrames;
  readonly #traces = new Map<string, LiveTrace>();
  readonly #streams = new Map<string, LiveStream>();
  /** Data streams that came before the session could be opened; undefined: it is open. */
  #waiting: Shown[] | undefined = [];
  /** Streams that were there when they were to be read from now on, by key. */
  readonly #old = new Set<string>();

  /** `names`: the session's; `frames`: what its streams are opened in. */
  constructor(names: { hostname: string; sessionName: string }, frames: SessionFrames) {
    this.#names = names;
    this.#frames = frames;
  }

  get traces(): Iterable<LiveTrace> {
    return this.#traces.values();
  }

  /** Data streams; may be ended while they are gone through. */
  get data(): Iterable<LiveStream> {
    return this.#streams.values();
  }

  /** A new connection shows everything anew. `isSame`: it leads to the same process of a millrace relay. */
  reconnected(isSame: boolean): void {
    if (this.#waiting !== undefined) this.#waiting = [];
    for (const trace of this.#traces.values()) {
      trace.metadataId = undefined;
      trace.needsMetadata = true;
      trace.askAtMs = 0;
    }
    for (const live of this.#streams.values()) {
      live.isShown = false;
      live.askAtMs = 0;
      if (!isSame) live.position = undefined;
      live.isRepeating = live.lastBeginCycles !== undefined;
    }
  }

  /** The relay shows these. */
  async show(
    channel: ViewerChannel,
    sessionId: bigint,
    entries: readonly Entry[],
    places: Places,
  ): Promise<void> {
    // The metadata streams first: a trace is known by then.
    for (const entry of entries) if (entry.metadataFlag === 1) await this.#showMetadata(channel, entry);
    let isNew = false;
    for (const entry of entries) {
      if (entry.metadataFlag === 1) continue;
      const shown = { entry, sessionId, places };
      if (places === 'last') this.#old.add(this.#keyOf(entry));
      if (this.#waiting !== undefined) this.#waiting.push(shown);
      else isNew = (await this.#showData(channel, shown)) || isNew;
    }
    if (isNew) this.#frames.published();
  }

  /** The session is open: what waited for that is shown. */
  async opened(channel: ViewerChannel): Promise<void> {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const shown of waiting) await this.#showData(channel, shown);
    this.#frames.published();
  }

  #traceOf({ pathName }: Entry): LiveTrace {
    const path = this.#pathOf(pathName);
    const trace = this.#traces.get(path) ?? new LiveTrace(path);
    this.#traces.set(path, trace);
    return trace;
  }

  /** Producers before 2.11 put host and session in front. */
  #pathOf(pathName: string): string {
    const { hostname, sessionName } = this.#names;
    const [first, second, ...rest] = pathName.split('/').filter((part) => part !== '');
    const isWhole = rest.length > 0 && first === hostname && second?.startsWith(sessionName) === true;
    return isWhole ? rest.join('/') : pathName;
  }

  async #showMetadata(channel: ViewerChannel, entry: Entry): Promise<void> {
    const trace = this.#traceOf(entry);
    trace.metadataId = entry.streamId;
    trace.repeatedBytes = trace.text.length;
    if (trace.text.length === 0) return;
    const { status } = await seek(channel, entry.streamId, BigInt(trace.text.length));
    if (status === seekStatus.ok) trace.repeatedBytes = 0;
  }

  #keyOf(entry: Entry): string {
    return streamKey(this.#pathOf(entry.pathName), entry.channelName);
  }

  /** Returns whether it is a new stream. */
  async #showData(channel: ViewerChannel, { entry, sessionId, places }: Shown): Promise<boolean> {
    const trace = this.#traceOf(entry);
    const key = this.#keyOf(entry);
    const known = this.#streams.get(key);
    const live = known ?? this.#newStream(trace, entry);
    live.id = entry.streamId;
    live.sessionId = sessionId;
    live.isShown = true;
    const isRead = live.position !== undefined || live.lastBeginCycles !== undefined;
    live.isPassing = places === 'beginning' && this.#old.has(key) && !isRead;
    if (live.position === undefined) return known === undefined;
    const { status } = await seek(channel, entry.streamId, live.position);
    if (status === seekStatus.ok) live.isRepeating = false;
    return known === undefined;
  }

  #newStream(trace: LiveTrace, { channelName, streamId }: Entry): LiveStream {
    const stream = this.#frames.openStream(trace.path, channelName, 0);
    const live = {
      trace,
      stream,
      id: streamId,
      sessionId: 0n,
      isShown: false,
      askAtMs: 0,
      position: undefined,
      lastBeginCycles: undefined,
      isRepeating: false,
      isPassing: false,
      beaconCycles: undefined,
      part: undefined,
    };
    this.#streams.set(stream.key, live);
    return live;
  }

  /** Streams that have ended while the connection was lost: a millrace relay still knows what they had. */
  async settleEnded(channel: ViewerChannel): Promise<void> {
    for (const live of this.#streams.values()) {
      if (live.isShown || live.position === undefined) continue;
      const { status, position } = await seek(channel, live.id, live.position);
      if (status !== seekStatus.ended) continue;
      const cause = 'were left when it ended while the connection was lost';
      this.#frames.add(...lostPackets(live, position - live.position, cause));
      this.#close(live);
    }
  }

  /** The relay has no more of it. Returns the frames that say so. */
  end(live: LiveStream): Frame[] {
    this.#close(live);
    return this.#frames.take();
  }

  #close(live: LiveStream): void {
    live.isShown = false;
    this.#streams.delete(live.stream.key);
    live.trace.needsMetadata = true;
    live.trace.askAtMs = 0;
    this.#frames.endStream(live.stream);
  }
}

/** Where a stream is to go on; a relay that is not millrace knows of no such thing. */
async function seek(
  channel: ViewerChannel,
  streamId: bigint,
  position: bigint,
): Promise<ViewerReplyOf<'seekStream'>> {
  if (channel.relayProcess === undefined) return { status: seekStatus.error, position: 0n };
  return await channel.ask('seekStream', { streamId, position });
}
