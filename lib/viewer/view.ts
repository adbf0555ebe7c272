/**
 * Reads traces and writes their events as lines, in one order. Memory is bounded by a packet a stream, and the table of
 * packets. Source: ctf.
 */
import { MillraceError } from '../errors.ts';
import { checkClocks } from './clocks.ts';
import { type DataStream, dataStreamsOf } from './data-streams.ts';
import { findTraces } from './find-traces.ts';
import { type LineMemory, LineOutlet } from './line-outlet.ts';
import { clipped } from './losses.ts';
import { beginning, Merge } from './merge.ts';
import { messageKinds } from './messages.ts';
import { compareMoments, type Moment } from './moment.ts';
import { type OpenStream, openStreams } from './open-streams.ts';
import { type Edges, firstPacketOf, type Part, type PartBytes, partsOf } from './parts.ts';
import { mendTimes } from './quirks.ts';
import { isInside, type TimeRange } from './range.ts';
import type { TextBuffer } from './text/text-buffer.ts';
import { ShownTimes } from './time-slot.ts';
import { type Trace, tracesOf } from './trace.ts';
import type { ViewOptions } from './view-options.ts';

/**
 * Resolves when the last line is written. Rejects with what is wrong with a trace, after the lines before it: those of
 * the stream that it is in, and of others up to their time.
 */
export async function view(options: ViewOptions): Promise<void> {
  const run = await openView(options);
  try {
    await run.run();
  } finally {
    await run.close();
  }
}

/** Reads metadata and packet tables. Rejects with what is wrong with them; who gets a view closes it. */
export async function openView(options: ViewOptions): Promise<View> {
  const traces = tracesOf(await findTraces(options.inputs));
  const streams: DataStream[] = [];
  const { wantsStream = () => true } = options;
  for (const trace of traces) streams.push(...(await dataStreamsOf(trace)).filter(wantsStream));
  checkClocks(streams, options.forceCorrelate === true);
  await mendTimes(streams);
  options.opened?.(streams);
  return new View(options, traces, streams);
}

/** A view that can be run. */
export class View {
  readonly #options: ViewOptions;
  readonly #outlet: LineOutlet;
  readonly #out: TextBuffer;
  readonly #streams: OpenStream[];
  #merge = new Merge<OpenStream>();
  #range: TimeRange = {};
  readonly #last: Moment = { ...beginning };
  readonly #shown = new ShownTimes();
  #hasBegun = false;
  // Where the part ends that is run: numbers, as objects of many origins have compiled code thrown away again and again.
  #untilSeconds = Number.POSITIVE_INFINITY;
  #untilNanos = Number.NaN;
  #edges: Edges | undefined;

  constructor(options: ViewOptions, traces: readonly Trace[], streams: readonly DataStream[]) {
    this.#options = options;
    this.#outlet = new LineOutlet((lines) => options.write(lines));
    this.#out = this.#outlet.buffer;
    this.#streams = openStreams(options, traces, streams);
  }

  /** Parts that can be run apart from each other; none where times do not tell. */
  parts(partBytes: PartBytes): Part[] {
    return partsOf(
      this.#streams.map(({ stream }) => stream),
      this.#options.clockOffset,
      partBytes,
    );
  }

  /** All of it. */
  async run(): Promise<void> {
    await this.#begin();
    await this.#write();
  }

  /**
   * One part; a view is run as a whole or by parts, from the front to the back. `edges` is filled in on the way: what
   * the prefixes of its neighbours depend on. `isWatched`: rejects also where an event is later than its packet's end, as parts behind
   * this one may then lack it. `memory`: where lines are written, but for one that is too long; `write` gives it back.
   */
  async runPart(
    { begin, end }: Part,
    edges: Edges,
    { isWatched = false, memory }: { isWatched?: boolean; memory?: LineMemory } = {},
  ): Promise<void> {
    if (!this.#hasBegun) await this.#begin();
    this.#hasBegun = true;
    this.#untilSeconds = end?.seconds ?? Number.POSITIVE_INFINITY;
    this.#untilNanos = end?.nanos ?? 0;
    this.#merge = new Merge();
    Object.assign(this.#last, beginning);
    this.#edges = edges;
    if (memory !== undefined) await this.#outlet.use(memory);
    this.#shown.restart();
    for (const stream of this.#streams) {
      if (begin !== undefined)
        stream.from = firstPacketOf(stream.stream, stream.from, begin, this.#options.clockOffset);
      stream.supply.seek(stream.from);
      stream.messages = stream.open();
      stream.messages.startBehind(stream.stream.packets[stream.from - 1], isWatched);
      if (await this.#skipTo(stream, begin ?? beginning)) this.#merge.add(stream);
    }
    await this.#write();
    this.#shown.tell(edges);
  }

  async #begin(): Promise<void> {
    for (const stream of this.#streams) if (await this.#advance(stream)) this.#merge.add(stream);
    this.#prepareRange();
  }

  /** Goes to the first message that is not before `begin`. Resolves to false at the stream's end. */
  async #skipTo(stream: OpenStream, begin: Moment): Promise<boolean> {
    const { messages } = stream;
    for (;;) {
      const next = messages.advance(this.#last);
      if (next === 'load') await stream.supply.load();
      else if (next !== 'message') return false;
      else if (compareMoments(messages, begin) >= 0) return true;
      else {
        if (messages.kind === messageKinds.event) messages.render(this.#out, false);
        messages.loss = undefined;
      }
    }
  }

  async #write(): Promise<void> {
    try {
      for (;;) {
        const stream = this.#run();
        if (this.#outlet.isFull || stream === undefined) await this.#flush();
        if (stream === undefined) return;
        if (stream === 'full') continue;
        if (await this.#advance(stream)) this.#merge.settle();
        else this.#merge.removeFirst();
      }
    } catch (error) {
      await this.#flush();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#streams.map(({ supply }) => supply.close()));
  }

  /** As far as it goes without reading: the stream that has to read, `full`, or undefined at the end. */
  #run(): OpenStream | 'full' | undefined {
    const merge = this.#merge;
    const outlet = this.#outlet;
    for (;;) {
      const stream = merge.first;
      if (stream === undefined) return undefined;
      const { messages } = stream;
      const { end } = this.#range;
      if (end !== undefined && compareMoments(messages, end) > 0) return undefined;
      // One sum: a branch that is taken at the end of a part only would have the loop compiled anew there.
      if ((messages.seconds - this.#untilSeconds) * 1e9 + (messages.nanos - this.#untilNanos) >= 0)
        return undefined;
      this.#take(stream);
      this.#last.seconds = messages.seconds;
      this.#last.nanos = messages.nanos;
      const next = messages.advance(this.#last);
      if (next === 'load') return stream;
      if (next === 'message') {
        merge.settle();
        this.#aside(stream);
      } else merge.removeFirst();
      if (outlet.isFull) return 'full';
    }
  }

  /** An event that has to wait for another stream's message is decoded before that one is taken. */
  #aside(stream: OpenStream): void {
    if (stream === this.#merge.first) return;
    const { messages } = stream;
    if (messages.kind === messageKinds.event && !messages.isAside)
      messages.renderAside(this.#isWanted(stream));
  }

  #isWanted({ messages, range }: OpenStream): boolean {
    if (messages.event?.wanted !== true) return false;
    if (!isInside(messages, this.#range) || !isInside(messages, range ?? everything)) return false;
    return messages.isAside ? messages.asideWanted : messages.passes();
  }

  #take(stream: OpenStream): void {
    const { messages } = stream;
    if (messages.kind === messageKinds.event) {
      const out = this.#out;
      const { counted, format } = this.#options;
      const wanted = this.#isWanted(stream);
      const start = out.at;
      out.start = start;
      try {
        if (wanted) {
          const time = this.#shown.next(messages);
          format.prefix(out, time);
          this.#shown.written(out.at - start);
          messages.render(out, true);
          format.suffix?.(out, time);
        } else messages.render(out, false);
        if (wanted && counted !== undefined && messages.event !== undefined)
          counted(messages, messages.event.event, stream.stream);
      } catch (error) {
        out.at = start;
        throw error;
      }
    } else if (messages.loss !== undefined) {
      const { loss } = messages;
      messages.loss = undefined;
      const seen = clipped(clipped(loss, this.#range), stream.range ?? everything);
      if (seen === undefined) return;
      this.#options.format.lost?.(this.#out, seen, stream.stream);
      this.#options.lost?.(seen, stream.stream);
    }
  }

  /** Goes to the stream's next message, reading what it needs. Resolves to false at its end. */
  async #advance(stream: OpenStream): Promise<boolean> {
    for (;;) {
      const next = stream.messages.advance(this.#last);
      if (next === 'message') return true;
      if (next !== 'load') return false;
      await stream.supply.load();
    }
  }

  #prepareRange(): void {
    const { range } = this.#options;
    if (range === undefined) return;
    for (const { stream } of this.#streams) {
      const isTimed = stream.packets.every(
        ({ beginCycles, endCycles }) => beginCycles !== undefined && endCycles !== undefined,
      );
      if (!isTimed || stream.layout.clock === undefined)
        throw new MillraceError('MR_ERR_VIEW_RANGE', { why: `${stream.path} has packets without times` });
    }
    const first = this.#merge.first?.messages;
    this.#range = range(first && { seconds: first.seconds, nanos: first.nanos });
  }

  async #flush(): Promise<void> {
    if (this.#edges !== undefined) this.#shown.tell(this.#edges);
    await this.#outlet.flush();
  }
}

const everything: TimeRange = {};
