/**
 * What viewers may see of one live session: the streams that its producer has published, by CTF trace. It belongs to
 * the relay session as long as that lives, and afterwards to the viewers that are attached to it.
 */
import { MetadataWriter } from '../../disk/metadata-writer.ts';
import type { TraceWriter } from '../../disk/stream-table.ts';
import type { StreamWriter } from '../../disk/stream-writer.ts';
import { limits } from '../../limits.ts';
import type { SessionOpen } from '../../stage/frames.ts';

/** Streams of one path: they share their metadata. */
export interface LiveTrace {
  readonly id: number;
  readonly path: string;
  /** Without it none of the trace's streams is shown. */
  metadata: LiveMetadata | undefined;
}

interface LiveFacts {
  readonly handle: number;
  readonly name: string;
  readonly trace: LiveTrace;
}

export interface LiveData extends LiveFacts {
  readonly kind: 'data';
  readonly writer: StreamWriter;
  /** Packets that readers can make sense of: those from here on came when metadata could not be stored any more. */
  limit: number;
}

export interface LiveMetadata extends LiveFacts {
  readonly kind: 'metadata';
  readonly writer: MetadataWriter;
}

export type LiveStream = LiveData | LiveMetadata;

/** Somebody who is attached to the session. */
export interface Audience {
  /** Whether it listens: it may be away for a while. */
  readonly isPresent: boolean;
  published(streams: readonly LiveStream[]): void;
  /** The producer is gone. */
  ended(): void;
}

let lastTrace = 0;

/** See the file's head. */
export class LiveSession {
  readonly id: number;
  readonly open: SessionOpen;
  readonly audience = new Set<Audience>();
  /** Published and not closed, by handle. */
  readonly streams = new Map<number, LiveStream>();
  /** Packets that streams had which are closed, by handle: for viewers who lost their connection meanwhile. */
  readonly closedStreams = new Map<number, number>();
  /** The producer has gone. */
  ended = false;
  readonly #traces = new Map<string, LiveTrace>();
  #unpublished: LiveStream[] = [];

  constructor(open: SessionOpen) {
    this.id = open.session;
    this.open = open;
  }

  /** Viewers that are attached and there. */
  get viewers(): number {
    let present = 0;
    for (const { isPresent } of this.audience) if (isPresent) present += 1;
    return present;
  }

  /** A stream is opened; nobody sees it before `publish`. */
  add(handle: number, path: string, writer: TraceWriter): void {
    const trace = this.#trace(path);
    const facts = { handle, name: writer.name, trace };
    this.#unpublished.push(
      writer instanceof MetadataWriter
        ? { ...facts, kind: 'metadata', writer }
        : { ...facts, kind: 'data', writer, limit: Number.POSITIVE_INFINITY },
    );
  }

  #trace(path: string): LiveTrace {
    let trace = this.#traces.get(path);
    if (trace === undefined) {
      lastTrace += 1;
      trace = { id: lastTrace, path, metadata: undefined };
      this.#traces.set(path, trace);
    }
    return trace;
  }

  /** Whether streams were added that nobody is shown yet. */
  get hasUnpublished(): boolean {
    return this.#unpublished.length > 0;
  }

  /** All streams that were added are shown, together: nobody sees half of a channel. */
  publish(): void {
    const streams = this.#unpublished;
    this.#unpublished = [];
    for (const stream of streams) {
      this.streams.set(stream.handle, stream);
      if (stream.kind !== 'metadata') continue;
      stream.trace.metadata = stream;
      this.#watchFailure(stream);
    }
    for (const viewer of this.audience) viewer.published(streams);
  }

  /** Packets that come after metadata was lost can be read by nobody. */
  #watchFailure({ writer, trace }: LiveMetadata): void {
    writer.stored.watch(() => {
      if (!writer.stored.failed) return;
      for (const stream of this.streams.values())
        if (stream.kind === 'data' && stream.trace === trace)
          stream.limit = Math.min(stream.limit, stream.writer.stored.count);
    });
  }

  /** A stream's files are closed: whoever has it goes on reading, nobody else gets it any more. */
  closed(handle: number): void {
    const stream = this.streams.get(handle);
    this.streams.delete(handle);
    this.#unpublished = this.#unpublished.filter((other) => other.handle !== handle);
    if (stream === undefined) return;
    if (stream.kind === 'data') this.#rememberClosed(handle, stream.writer.stored.count);
    const { trace } = stream;
    if (![...this.streams.values(), ...this.#unpublished].some((other) => other.trace === trace))
      this.#traces.delete(trace.path);
  }

  /** The last ones: programs come and go for months. */
  #rememberClosed(handle: number, packets: number): void {
    this.closedStreams.set(handle, packets);
    const [oldest] = this.closedStreams.keys();
    if (oldest !== undefined && this.closedStreams.size > limits.closedStreams)
      this.closedStreams.delete(oldest);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    for (const viewer of this.audience) viewer.ended();
  }
}
