/**
 * One viewer's attachment to one live session: a place in each of its streams, from the moment they are published, so
 * that nothing of a short-lived program is missed however late the viewer asks for new streams.
 */
import { newTopic, type Topic } from './idle-pace.ts';
import type { Audience, LiveSession, LiveStream, LiveTrace } from './live-session.ts';
import { isData, type ViewedMetadata, type ViewedStream, viewStream } from './viewed-stream.ts';

/** Who is attached. */
export interface Viewer {
  /** Something happened to the topic, or to everything. */
  news(topic: Topic | undefined): void;
  /** All places of all its attachments, by stream handle. */
  readonly streams: Map<number, ViewedStream>;
}

/** Whose places outlive the connection: until the viewer says `key` again, at most `ms` milliseconds. */
export interface Keep {
  key: bigint;
  ms: number;
}

/** See the file's head. */
export class ViewedSession implements Audience {
  readonly live: LiveSession;
  /** Undefined: the places go with the connection. */
  readonly keep: Keep | undefined;
  /** What GET_NEW_STREAMS asks about. */
  readonly topic = newTopic();
  /** Undefined: it is away, and may come back. */
  #viewer: Viewer | undefined;
  readonly #streams = new Set<ViewedStream>();
  readonly #metadata = new Map<LiveTrace, ViewedMetadata>();
  readonly #unannounced = new Set<ViewedStream>();
  lostPackets = 0;

  constructor(viewer: Viewer, live: LiveSession, from: 'beginning' | 'last', keep?: Keep) {
    this.#viewer = viewer;
    this.live = live;
    this.keep = keep;
    for (const stream of live.streams.values()) this.#add(stream, from);
    live.audience.add(this);
  }

  #add(live: LiveStream, from: 'beginning' | 'last'): void {
    const stream = viewStream(this, live, from);
    this.#streams.add(stream);
    this.#unannounced.add(stream);
    this.#viewer?.streams.set(live.handle, stream);
    if (!isData(stream)) this.#metadata.set(live.trace, stream);
  }

  get isPresent(): boolean {
    return this.#viewer !== undefined;
  }

  /** The viewer is on another connection now, or on none. It is shown everything again, in case it did not get the last reply. */
  handTo(viewer: Viewer | undefined): void {
    for (const stream of this.#streams) {
      stream.cursor.goBack();
      this.#viewer?.streams.delete(stream.live.handle);
      viewer?.streams.set(stream.live.handle, stream);
      this.#unannounced.add(stream);
    }
    this.#viewer = viewer;
    this.news(undefined);
  }

  get size(): number {
    return this.#streams.size;
  }

  news(topic: Topic | undefined): void {
    this.#viewer?.news(topic);
  }

  published(streams: readonly LiveStream[]): void {
    for (const stream of streams) this.#add(stream, 'beginning');
    this.news(undefined);
  }

  ended(): void {
    this.news(undefined);
  }

  /** The trace's metadata as far as this viewer has it. */
  metadataOf(trace: LiveTrace): ViewedMetadata | undefined {
    return this.#metadata.get(trace);
  }

  /** Whether there are streams of which the viewer does not know: it must not be told that nothing happened meanwhile. */
  get hides(): boolean {
    return this.#unannounced.size > 0 || this.live.hasUnpublished;
  }

  /** Whether there are streams that may be shown and were not. */
  get hasNew(): boolean {
    for (const { live } of this.#unannounced) if (live.trace.metadata !== undefined) return true;
    return false;
  }

  /**
   * Up to `max` streams that were not shown yet, metadata first; they count as shown. A trace without metadata
   * waits for it. Source: live-protocol, "Publication and announcement of streams".
   */
  announce(max: number): LiveStream[] {
    const ready = [...this.#unannounced].filter(({ live }) => live.trace.metadata !== undefined);
    const ordered = [...ready.filter((stream) => !isData(stream)), ...ready.filter(isData)].slice(0, max);
    for (const stream of ordered) this.#unannounced.delete(stream);
    return ordered.map(({ live }) => live);
  }

  /** Packets that this viewer missed. */
  get lost(): number {
    let lost = this.lostPackets;
    for (const stream of this.#streams) if (isData(stream)) lost += stream.cursor.lostPackets;
    return lost;
  }

  /** The stream was read to its end. With the last one of a trace that is over, its metadata goes. */
  drop(stream: ViewedStream): void {
    if (isData(stream)) this.lostPackets += stream.cursor.lostPackets;
    this.#forget(stream);
    const metadata = this.#metadata.get(stream.live.trace);
    if (metadata !== undefined) this.dropIfOver(metadata);
  }

  /** Metadata that was read to its end, and that no stream of this viewer needs any more. */
  dropIfOver(metadata: ViewedMetadata): void {
    const { trace, writer } = metadata.live;
    if (!writer.closed || metadata.cursor.availableBytes > 0 || this.#unannounced.has(metadata)) return;
    for (const stream of this.#streams) if (isData(stream) && stream.live.trace === trace) return;
    this.#metadata.delete(trace);
    this.#forget(metadata);
  }

  #forget(stream: ViewedStream): void {
    stream.close();
    this.#streams.delete(stream);
    this.#unannounced.delete(stream);
    this.#viewer?.streams.delete(stream.live.handle);
  }

  /** The viewer detaches, or is gone. */
  close(): void {
    this.live.audience.delete(this);
    for (const stream of this.#streams) this.#forget(stream);
  }
}
