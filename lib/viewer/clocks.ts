/** Which clocks can be compared: all streams of a view must have alike ones. Source: ctf, "Merge order". */
import type { ClockClass } from '../ctf/trace-class.ts';
import { MillraceError } from '../errors.ts';
import type { DataStream } from './data-streams.ts';
import { isAbsolute } from './moment.ts';

/** Errors: MR_ERR_VIEW_CLOCK. `force`: all clocks count as absolute. */
export function checkClocks(streams: readonly DataStream[], force: boolean): void {
  const [first] = streams;
  if (first === undefined) return;
  const expected = kindOf(first, force);
  for (const stream of streams) {
    const found = kindOf(stream, force);
    if (found.text === expected.text && found.clock === expected.clock) continue;
    throw new MillraceError('MR_ERR_VIEW_CLOCK', {
      path: stream.path,
      why: `it has ${found.text}, ${first.path} has ${expected.text}: their times cannot be compared`,
    });
  }
}

function kindOf({ layout, trace }: DataStream, force: boolean): { text: string; clock?: ClockClass } {
  const { clock } = layout;
  if (clock === undefined) return { text: 'no clock' };
  if (force || isAbsolute(clock, trace.class.environment.get('tracer_name')))
    return { text: 'a clock of absolute time' };
  if (clock.uuid !== undefined) return { text: `a clock of UUID ${clock.uuid}` };
  return { text: `a clock of its own, ${clock.name}`, clock };
}
