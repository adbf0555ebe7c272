/** What a run did not bring, in words. */
import type { Passed } from '../stage/meter.ts';
import type { OpenSource } from './ends.ts';

/** Lines about what is missing of what has passed; none: nothing is. */
export function missingOf(source: OpenSource, { aborted, sessions }: Passed): string[] {
  const cut = aborted > 0 ? `${aborted} of ${sessions} sessions were cut short` : undefined;
  return [source.missing(), cut].filter((each) => each !== undefined);
}
