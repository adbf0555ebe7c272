/**
 * Views divided by time, so that several threads can decode: a part begins in each stream with the first message that
 * is not before its time. That is where a run of the whole stands when it has come there, as long as no event is later
 * than the end of its packet; streams watch that while a part runs.
 */
import type { DataStream } from './data-streams.ts';
import type { EventTime } from './line-format.ts';
import { type ClockOffset, ClockReader, compareMoments, type Moment } from './moment.ts';

/** From `begin` on, and before `end`; undefined: from the first message on, to the last one. */
export interface Part {
  begin: Moment | undefined;
  end: Moment | undefined;
}

/** What a part's neighbours have to know of it: its first and its last event, and what stands before the first one. */
export interface Edges {
  first: EventTime | undefined;
  firstPrefixBytes: number;
  last: EventTime | undefined;
}

/** To be filled in. */
export function newEdges(): Edges {
  return { first: undefined, firstPrefixBytes: 0, last: undefined };
}

/** How many bytes of packets belong to a part: four packets of each stream, within these bounds. */
export interface PartBytes {
  least: number;
  most: number;
}

/** None where a packet has no times or no size, or something lies before the clock's origin. */
export function partsOf(
  streams: readonly DataStream[],
  clockOffset: ClockOffset | undefined,
  { least, most }: PartBytes,
): Part[] {
  const ends: { moment: Moment; sizeBytes: number }[] = [];
  for (const { layout, packets } of streams) {
    if (layout.clock === undefined) return [];
    const clock = new ClockReader(layout.clock, clockOffset);
    for (const { beginCycles, endCycles, sizeBytes, isOpen } of packets) {
      if (beginCycles === undefined || endCycles === undefined || isOpen) return [];
      if (clock.momentOf(beginCycles).seconds < 0) return [];
      ends.push({ moment: clock.momentOf(endCycles), sizeBytes });
    }
  }
  const largest = streams.map(({ packets }) =>
    packets.reduce((size, packet) => Math.max(size, packet.sizeBytes), 0),
  );
  const partBytes = Math.min(most, Math.max(least, 4 * largest.reduce((sum, size) => sum + size, 0)));
  ends.sort((a, b) => compareMoments(a.moment, b.moment));
  const parts: Part[] = [];
  let begin: Moment | undefined;
  let bytes = 0;
  for (const { moment, sizeBytes } of ends) {
    bytes += sizeBytes;
    if (bytes < partBytes || (begin !== undefined && compareMoments(moment, begin) < 0)) continue;
    const end = after(moment);
    parts.push({ begin, end });
    begin = end;
    bytes = 0;
  }
  parts.push({ begin, end: undefined });
  return parts;
}

/** The first packet, from one on, that may hold something that is not before `begin`. */
export function firstPacketOf(
  { layout, packets }: DataStream,
  from: number,
  begin: Moment,
  clockOffset: ClockOffset | undefined,
): number {
  if (layout.clock === undefined) return 0;
  const clock = new ClockReader(layout.clock, clockOffset);
  let at = from;
  for (; at < packets.length; at++) {
    const end = packets[at]?.endCycles;
    if (end === undefined || compareMoments(clock.momentOf(end), begin) >= 0) break;
  }
  return at;
}

function after({ seconds, nanos }: Moment): Moment {
  return nanos === 999_999_999 ? { seconds: seconds + 1, nanos: 0 } : { seconds, nanos: nanos + 1 };
}
