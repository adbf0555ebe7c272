/** Sessions and chunks in the order stage, and the syncs that wait for packets. */
import type {
  ChunkDone,
  ChunkOpen,
  Published,
  SessionEnd,
  SessionOpen,
  StreamEnd,
  StreamOpen,
  Sync,
} from '../frames.ts';
import { chunkGrammar, outOfOrder, sessionGrammar, step } from '../grammar.ts';
import type { OrderParts, SessionMemory } from './memory.ts';
import type { Packets } from './packets.ts';
import type { Streams } from './streams.ts';

/** The producer's minor from which on it sends indexes. Source: relay-protocol §10.1. */
const indexMinor = 4;

type SessionFrame =
  | SessionOpen
  | SessionEnd
  | StreamOpen
  | StreamEnd
  | Published
  | Sync
  | ChunkOpen
  | ChunkDone;

/** All sessions that are open, by handle. */
export class Sessions {
  readonly #parts: OrderParts;
  readonly #streams: Streams;
  readonly #packets: Packets;
  #open = new Map<number, SessionMemory>();

  constructor(parts: OrderParts, streams: Streams, packets: Packets) {
    this.#parts = parts;
    this.#streams = streams;
    this.#packets = packets;
  }

  handles(): number[] {
    return [...this.#open.keys()];
  }

  take(frame: SessionFrame): void {
    if (frame.kind === 'streamEnd') {
      this.settle(this.#packets.end(frame));
      return;
    }
    const known = this.#open.get(frame.session);
    step(sessionGrammar, known === undefined ? 'absent' : 'open', frame.kind, frame);
    const session = known ?? this.#remember(frame);
    switch (frame.kind) {
      case 'streamOpen':
        this.#openStream(session, frame);
        return;
      case 'sync':
        session.syncs.push(this.#parts.shelf.put(frame));
        this.settle(session);
        return;
      case 'sessionEnd':
        this.#end(session);
        break;
      case 'published':
        for (const stream of session.streams.values()) stream.isPublished = true;
        break;
      case 'chunkOpen':
      case 'chunkDone':
        this.#chunk(session, frame);
        break;
    }
    this.#parts.runs.add(frame);
  }

  /** Lets those syncs pass whose packets have all passed. */
  settle(session: SessionMemory): void {
    for (let held = session.syncs[0]; held !== undefined; held = session.syncs[0]) {
      // a stream that has ended owes nothing more
      const isOwed = held.frame.safe.some(
        ({ stream, netSeqNum }) => session.streams.get(stream)?.numbers.isComplete(netSeqNum) === false,
      );
      if (isOwed) return;
      session.syncs.shift();
      this.#parts.shelf.take(held, (frame) => this.#parts.runs.add(frame));
    }
  }

  #remember(frame: SessionFrame): SessionMemory {
    if (frame.kind !== 'sessionOpen') throw outOfOrder(frame, 'absent', 'its session is not open');
    const session: SessionMemory = {
      handle: frame.session,
      isIndexless: frame.snapshot || frame.minor < indexMinor,
      current: undefined,
      chunks: new Set(),
      streams: new Map(),
      hadStreams: false,
      hadChunks: false,
      syncs: [],
      traces: new Map(),
    };
    if (session.isIndexless) this.#parts.note('noIndex', frame.kind, { session: session.handle });
    this.#open.set(session.handle, session);
    return session;
  }

  /** Ends what the producer left open. */
  #end(session: SessionMemory): void {
    const { handle } = session;
    if (!session.hadStreams) this.#parts.note('emptySession', 'sessionEnd', { session: handle });
    for (const stream of session.streams.values()) {
      if (stream.ending === undefined) {
        this.#parts.note('unclosed', 'sessionEnd', { session: handle, stream: stream.handle });
      }
      this.#packets.close(stream);
    }
    this.settle(session);
    this.#open.delete(handle);
  }

  #openStream(session: SessionMemory, frame: StreamOpen): void {
    const { streamsPerSession } = this.#parts.ceilings;
    if (session.streams.size >= streamsPerSession) {
      throw outOfOrder(frame, 'open', `a session has at most ${streamsPerSession} streams`);
    }
    this.#streams.open(frame, session);
    session.hadStreams = true;
  }

  #chunk(session: SessionMemory, frame: ChunkOpen | ChunkDone): void {
    const { chunk, kind } = frame;
    step(chunkGrammar, session.chunks.has(chunk) ? 'open' : 'absent', kind, frame);
    if (kind === 'chunkOpen') {
      session.hadChunks = true;
      session.chunks.add(chunk);
      session.current = chunk;
      return;
    }
    session.chunks.delete(chunk);
    if (session.current === chunk) session.current = undefined;
    for (const stream of session.streams.values()) {
      if (stream.chunk === chunk) this.#parts.note('chunkDoneEarly', kind, { chunk, stream: stream.handle });
    }
  }
}
