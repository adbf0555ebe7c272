/** Counts what a view shows: events by class over time, and how full packets are. */
import type { EventClass } from '../ctf/trace-class.ts';
import type { DataStream } from './data-streams.ts';
import type { Loss } from './losses.ts';
import { ClockReader, type Moment, nsOfMoment } from './moment.ts';

/** Parts of the time that a histogram has. */
const parts = 24;

export interface EventStats {
  trace: string;
  name: string;
  events: number;
  /** Events in equal parts of the time of all packets. */
  histogram: number[];
}

export interface StreamStats {
  path: string;
  streamClassId: bigint;
  id: bigint;
  events: number;
  packets: number;
  bytes: number;
  /** Of packet sizes: what is content. */
  fill: number;
  eventsDiscarded: bigint;
  packetsLost: bigint;
}

/** All counts. `seconds`: from the first packet's begin to the last one's end; undefined: packets have no times. */
export interface ViewStats {
  seconds: number | undefined;
  events: EventStats[];
  streams: StreamStats[];
}

export class StatsCounter {
  readonly #events = new Map<EventClass, EventStats>();
  readonly #streams = new Map<DataStream, StreamStats>();
  #begin = 0;
  #partSeconds = Number.NaN;
  #seconds: number | undefined;

  /** The streams that are going to be read. */
  opened(streams: readonly DataStream[]): void {
    let begin: bigint | undefined;
    let end: bigint | undefined;
    for (const stream of streams) {
      const { layout, packets } = stream;
      const bits = packets.reduce((sum, packet) => sum + packet.sizeBytes * 8, 0);
      const content = packets.reduce((sum, packet) => sum + packet.contentBits, 0);
      this.#streams.set(stream, {
        path: stream.path,
        streamClassId: layout.stream.id,
        id: stream.id,
        events: 0,
        packets: packets.length,
        bytes: bits / 8,
        fill: bits === 0 ? 0 : content / bits,
        eventsDiscarded: 0n,
        packetsLost: 0n,
      });
      const clock = layout.clock && new ClockReader(layout.clock);
      const [first, last] = [packets[0]?.beginCycles, packets.at(-1)?.endCycles];
      if (clock === undefined || first === undefined || last === undefined) continue;
      const [from, to] = [nsOfMoment(clock.momentOf(first)), nsOfMoment(clock.momentOf(last))];
      if (begin === undefined || from < begin) begin = from;
      if (end === undefined || to > end) end = to;
    }
    if (begin === undefined || end === undefined) return;
    this.#seconds = Number(end - begin) / 1e9;
    this.#begin = Number(begin) / 1e9;
    this.#partSeconds = this.#seconds / parts;
  }

  counted({ seconds, nanos }: Moment, event: EventClass, stream: DataStream): void {
    let stats = this.#events.get(event);
    if (stats === undefined) {
      const histogram = Array.from({ length: parts }, () => 0);
      stats = { trace: stream.trace.name ?? '', name: event.name, events: 0, histogram };
      this.#events.set(event, stats);
    }
    stats.events += 1;
    const part = Math.floor((seconds + nanos / 1e9 - this.#begin) / this.#partSeconds);
    const at = Math.min(Math.max(part, 0), parts - 1);
    if (!Number.isNaN(at)) stats.histogram[at] = (stats.histogram[at] as number) + 1;
    const own = this.#streams.get(stream);
    if (own !== undefined) own.events += 1;
  }

  lost({ what, count = 0n }: Loss, stream: DataStream): void {
    const own = this.#streams.get(stream);
    if (own === undefined) return;
    if (what === 'event') own.eventsDiscarded += count;
    else own.packetsLost += count;
  }

  /** Events in order of their number, streams in order of their paths. */
  result(): ViewStats {
    const events = [...this.#events.values()].sort(
      (a, b) => b.events - a.events || (a.name < b.name ? -1 : 1),
    );
    const streams = [...this.#streams.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return { seconds: this.#seconds, events, streams };
  }
}
