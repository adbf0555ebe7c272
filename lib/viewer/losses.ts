/** What a tracer lost, as the packets of a stream tell it. Source: ctf, "Lost events and packets". */
import { type ClockReader, compareMoments, type Moment } from './moment.ts';
import type { Packet } from './packet-table.ts';
import type { TimeRange } from './range.ts';

/** What was lost. `count` undefined: something may have been. `range` undefined: the stream's packets have no times. */
export interface Loss {
  what: 'event' | 'packet';
  count: bigint | undefined;
  range: { begin: Moment; end: Moment } | undefined;
}

/** From one packet of a stream to the next. */
export interface Passage {
  packet: Packet;
  before: Packet | undefined;
  clock: ClockReader | undefined;
}

/** Told by the counter of the packet; of the first packet of a stream nobody knows how many. */
export function discardedEvents({ packet, before, clock }: Passage): Loss | undefined {
  const now = packet.eventsDiscarded;
  const then = before?.eventsDiscarded;
  if (now === undefined || now === (then ?? 0n)) return undefined;
  const count = then === undefined ? undefined : BigInt.asUintN(64, now - then);
  const begin = then === undefined ? packet.beginCycles : before?.endCycles;
  return { what: 'event', count, range: rangeOf(packet, clock, begin, packet.endCycles) };
}

/** Told by a gap between the numbers of two packets. */
export function discardedPackets({ packet, before, clock }: Passage): Loss | undefined {
  const now = packet.packetSeqNum;
  const then = before?.packetSeqNum;
  if (now === undefined || then === undefined) return undefined;
  const count = BigInt.asUintN(64, now - then);
  if (count <= 1n) return undefined;
  return {
    what: 'packet',
    count: count - 1n,
    range: rangeOf(packet, clock, before?.endCycles, packet.beginCycles),
  };
}

function rangeOf(
  { beginCycles, endCycles }: Packet,
  clock: ClockReader | undefined,
  begin: bigint | undefined,
  end: bigint | undefined,
): Loss['range'] {
  const isTimed = beginCycles !== undefined && endCycles !== undefined;
  if (!isTimed || clock === undefined || begin === undefined || end === undefined) return undefined;
  return { begin: clock.momentOf(begin), end: clock.momentOf(end) };
}

/** A loss that reaches over a bound is cut there, and nobody knows how much of it lies inside. */
export function clipped(loss: Loss | undefined, { begin, end }: TimeRange): Loss | undefined {
  if (loss?.range === undefined) return loss;
  const { range } = loss;
  const late = begin !== undefined && compareMoments(range.begin, begin) < 0;
  const early = end !== undefined && compareMoments(range.end, end) > 0;
  if (!late && !early) return loss;
  const cut = { begin: late ? begin : range.begin, end: early ? end : range.end };
  if (compareMoments(cut.begin, cut.end) > 0) return undefined;
  return { what: loss.what, count: undefined, range: cut };
}
