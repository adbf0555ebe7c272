/** Time ranges: what a view leaves out. Source: ctf, "Time range", "Command line". */
import { MillraceError } from '../errors.ts';
import type { DataStream } from './data-streams.ts';
import { type ClockOffset, ClockReader, compareMoments, type Moment } from './moment.ts';
import type { Trace } from './trace.ts';

/** Both bounds belong to it; undefined: there is none. */
export interface TimeRange {
  begin?: Moment | undefined;
  end?: Moment | undefined;
}

/** Of each trace: the time in which all its streams have packets. Errors: MR_ERR_VIEW_RANGE: there is none. */
export function intersectionOf(
  traces: readonly Trace[],
  streams: readonly DataStream[],
  clockOffset: ClockOffset | undefined,
): Map<Trace, TimeRange> {
  const ranges = new Map<Trace, TimeRange>();
  for (const trace of traces) {
    const path = trace.directories[0]?.path ?? '';
    const error = (why: string) => new MillraceError('MR_ERR_VIEW_RANGE', { why: `${path}: ${why}` });
    const own = streams.filter((stream) => stream.trace === trace);
    if (own.length === 0) throw error('it has no streams that could intersect');
    let begin: Moment | undefined;
    let end: Moment | undefined;
    for (const { layout, packets } of own) {
      const first = packets[0]?.beginCycles;
      const last = packets.at(-1)?.endCycles;
      if (layout.clock === undefined || first === undefined || last === undefined)
        throw error('a stream has packets without times');
      const clock = new ClockReader(layout.clock, clockOffset);
      const from = clock.momentOf(first);
      const to = clock.momentOf(last);
      if (begin === undefined || compareMoments(from, begin) > 0) begin = from;
      if (end === undefined || compareMoments(to, end) < 0) end = to;
    }
    if (begin !== undefined && end !== undefined && compareMoments(begin, end) > 0)
      throw error('its streams have no time in common');
    ranges.set(trace, { begin, end });
  }
  return ranges;
}

export function isInside(moment: Moment, { begin, end }: TimeRange): boolean {
  if (begin !== undefined && compareMoments(moment, begin) < 0) return false;
  return end === undefined || compareMoments(moment, end) <= 0;
}
