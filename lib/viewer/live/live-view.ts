/**
 * Prints a session while it comes in: what beacons make safe, in the order of time, and no later. A stream that has
 * nothing to read holds back what is later than its promise (`live-stream.ts`). Where what is held grows beyond
 * `limits.viewHeldBytes`, the view goes on without the streams that say nothing, and tells so: memory is bounded
 * whatever they do.
 */
import { Writable } from 'node:stream';
import { limits } from '../../limits.ts';
import { type FrameBatch, releaseBatch } from '../../stage/batch.ts';
import type { Frame, SessionOpen } from '../../stage/frames.ts';
import { tell } from '../../telemetry.ts';
import { checkClocks } from '../clocks.ts';
import type { DataStream } from '../data-streams.ts';
import { beginning, Merge } from '../merge.ts';
import { messageKinds } from '../messages.ts';
import { compareMoments, type Moment } from '../moment.ts';
import { isInside, type TimeRange } from '../range.ts';
import { rankStreams } from '../rank.ts';
import { TextBuffer } from '../text/text-buffer.ts';
import { TimeSlot } from '../time-slot.ts';
import type { ViewOptions } from '../view-options.ts';
import { LiveStream } from './live-stream.ts';
import { LiveTrace } from './live-trace.ts';

/** What a live view takes of the options of one of files. */
export type LiveViewOptions = Omit<ViewOptions, 'inputs' | 'intersection' | 'opened'>;

const flushBytes = 131_072;

/** Errors of all methods: what is wrong with the trace, and what `write` rejects with. */
export class LiveView {
  readonly #options: LiveViewOptions;
  readonly #out = new TextBuffer(2 * flushBytes);
  readonly #sessions = new Map<number, SessionOpen>();
  readonly #traces = new Map<string, LiveTrace>();
  /** Metadata streams by handle, then data streams. */
  readonly #metadata = new Map<number, LiveTrace>();
  readonly #streams = new Map<number, LiveStream>();
  /** Streams without a message at hand. */
  readonly #waiting = new Set<LiveStream>();
  readonly #merge = new Merge<LiveStream>();
  readonly #last: Moment = { ...beginning };
  /** Of the event that is shown. */
  readonly #time = new TimeSlot();
  #range: TimeRange | undefined;

  constructor(options: LiveViewOptions) {
    this.#options = options;
  }

  /** Takes in what a batch says, and writes what can be written then. The batch stays the caller's. */
  async take({ slab, frames }: FrameBatch): Promise<void> {
    for (const frame of frames) this.#frame(frame, slab?.bytes);
    await this.#print();
  }

  /** Nothing more comes: writes what is left. */
  async end(): Promise<void> {
    for (const stream of this.#streams.values()) stream.end();
    await this.#print();
  }

  #frame(frame: Frame, bytes: Buffer | undefined): void {
    switch (frame.kind) {
      case 'sessionOpen':
        this.#sessions.set(frame.session, frame);
        return;
      case 'streamOpen': {
        const trace = this.#trace(`${frame.session} ${frame.path}`, frame.path);
        if (frame.channelName !== 'metadata') this.#open(frame, trace);
        else {
          this.#metadata.set(frame.stream, trace);
          trace.restart();
        }
        return;
      }
      case 'metadata':
        this.#metadata
          .get(frame.stream)
          ?.add(frame, bytes?.subarray(frame.start, frame.end) ?? Buffer.alloc(0));
        return;
      case 'data':
        if (bytes !== undefined)
          this.#streams.get(frame.stream)?.data(frame, bytes.subarray(frame.start, frame.end));
        return;
      case 'index':
        this.#streams.get(frame.stream)?.index(frame.netSeqNum);
        return;
      case 'lost':
        this.#streams.get(frame.stream)?.lost(frame.netSeqNum);
        return;
      case 'inactive':
        this.#streams.get(frame.stream)?.inactive(frame);
        return;
      case 'switch':
        this.#metadata.get(frame.stream)?.restart();
        return;
      case 'sync':
        for (const { stream, netSeqNum } of frame.safe) this.#streams.get(stream)?.safeUpTo(netSeqNum);
        return;
      case 'streamEnd':
        this.#streams.get(frame.stream)?.end();
        this.#streams.delete(frame.stream);
        return;
      default:
        return;
    }
  }

  #trace(key: string, path: string): LiveTrace {
    let trace = this.#traces.get(key);
    if (trace === undefined) {
      const { format, wants = () => true } = this.#options;
      trace = new LiveTrace(path, format, wants);
      this.#traces.set(key, trace);
    }
    return trace;
  }

  #open(frame: Extract<Frame, { kind: 'streamOpen' }>, trace: LiveTrace): void {
    const session = this.#sessions.get(frame.session);
    const stream = new LiveStream(frame, trace, {
      clockOffset: this.#options.clockOffset,
      where: this.#options.where,
      isIndexless: session?.snapshot === true || (session?.minor ?? 15) < 4,
    });
    if (this.#options.wantsStream?.({ path: stream.path } as DataStream) === false) return;
    this.#streams.set(frame.stream, stream);
    this.#waiting.add(stream);
  }

  /** Gives every stream that is known by now its place among the others. */
  #rank(): void {
    const known = new Map<DataStream, LiveStream>();
    for (const stream of [...this.#merge.all(), ...this.#waiting])
      if (stream.stream !== undefined) known.set(stream.stream, stream);
    if (known.size === 0) return;
    checkClocks([...known.keys()], this.#options.forceCorrelate === true);
    for (const { stream, rank, pathRank } of rankStreams([...known.keys()]))
      Object.assign(known.get(stream) as LiveStream, { rank, pathRank });
  }

  async #print(): Promise<void> {
    for (;;) {
      this.#wake();
      const isDone = this.#run(this.#bound());
      if (this.#out.at >= flushBytes || isDone) await this.#flush();
      if (isDone) return;
    }
  }

  /** Streams that waited and have something now come to their messages. */
  #wake(): void {
    if ([...this.#waiting].some(({ isReady, rank }) => isReady && rank < 0)) this.#rank();
    for (const stream of this.#waiting) {
      if (stream.isReady && stream.messages.advance(this.#last) === 'message') {
        this.#waiting.delete(stream);
        this.#merge.add(stream);
      } else if (stream.isEnded) this.#waiting.delete(stream);
    }
  }

  /** Up to where messages may be taken: undefined: all of them. */
  #bound(): Moment | undefined {
    let bound: Moment | undefined;
    for (const { promise } of this.#waiting)
      if (bound === undefined || compareMoments(promise, bound) < 0) bound = promise;
    if (bound === undefined) return undefined;
    let heldBytes = 0;
    for (const stream of this.#streams.values()) heldBytes += stream.heldBytes;
    if (heldBytes <= limits.viewHeldBytes) return bound;
    tell('warn', 'viewer:unordered', 'too much is held for streams that say nothing: going on without them', {
      heldBytes,
      silent: [...this.#waiting].map(({ path }) => path).join(' '),
    });
    return undefined;
  }

  /** True where nothing more can be taken now; false after a while, or when a stream has come to an end of what it has. */
  #run(bound: Moment | undefined): boolean {
    for (;;) {
      const stream = this.#merge.first;
      if (stream === undefined) return true;
      const { messages } = stream;
      // Of one time, a stream that waits might still have something to say first.
      if (bound !== undefined && compareMoments(messages, bound) >= 0) return true;
      this.#take(stream);
      this.#last.seconds = messages.seconds;
      this.#last.nanos = messages.nanos;
      if (messages.advance(this.#last) === 'message') this.#merge.settle();
      else {
        this.#merge.removeFirst();
        if (!stream.isEnded) this.#waiting.add(stream);
        return false;
      }
      if (this.#out.at >= flushBytes) return false;
    }
  }

  #take(stream: LiveStream): void {
    const { messages } = stream;
    const data = stream.stream as DataStream;
    const { format, counted, lost, range } = this.#options;
    this.#range ??= range?.({ seconds: messages.seconds, nanos: messages.nanos }) ?? {};
    if (messages.kind === messageKinds.event && messages.event !== undefined) {
      const out = this.#out;
      const start = out.at;
      out.start = start;
      const wanted = messages.event.wanted && isInside(messages, this.#range) && messages.passes();
      try {
        if (wanted) {
          this.#time.take(messages);
          format.prefix(out, this.#time);
        }
        messages.render(out, wanted);
        if (wanted) format.suffix?.(out, this.#time);
      } catch (error) {
        out.at = start;
        throw error;
      }
      if (wanted) counted?.(messages, messages.event.event, data);
    } else if (messages.loss !== undefined) {
      const { loss } = messages;
      messages.loss = undefined;
      format.lost?.(this.#out, loss, data);
      lost?.(loss, data);
    }
  }

  async #flush(): Promise<void> {
    const out = this.#out;
    if (out.at === 0) return;
    await this.#options.write(out.bytes.subarray(0, out.at));
    out.at = 0;
  }
}

/** The end of a pipe that views what comes. Ownership: releases every batch. Errors: those of `LiveView`. */
export function liveViewSink(options: LiveViewOptions): Writable {
  const view = new LiveView(options);
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(batch: FrameBatch, _encoding, callback) {
      view
        .take(batch)
        .then(
          () => callback(),
          (error: unknown) => callback(error as Error),
        )
        .finally(() => releaseBatch(batch));
    },
    final(callback) {
      view.end().then(
        () => callback(),
        (error: unknown) => callback(error as Error),
      );
    },
  });
}
