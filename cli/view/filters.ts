/** From the options that select to what the library filters by. */
import { basename } from 'node:path';
import type { loadSelection, ViewOptions } from '../../lib/index.ts';
import type { ViewSettings } from './settings.ts';

type Selection = Awaited<ReturnType<typeof loadSelection>>;

/** Throws MR_ERR_VIEW_FILTER for a comparison that is none. */
export function filtersOf(
  { conditionOf, globOf }: Selection,
  { events, streams, processes, where }: ViewSettings,
): Pick<ViewOptions, 'wants' | 'wantsStream' | 'where'> {
  const names = events.map(globOf);
  const files = streams.map(globOf);
  const conditions = where.map(conditionOf);
  const ofProcess = processes.map((who) => ({
    isIn: /^\d+$/.test(who) ? conditionOf(`vpid=${who}`) : conditionOf(`procname~${who}`),
    isNamed: globOf(who),
  }));
  return {
    ...(names.length > 0 && { wants: ({ name }) => names.some((matches) => matches(name)) }),
    ...(files.length > 0 && { wantsStream: ({ path }) => files.some((matches) => matches(basename(path))) }),
    ...(conditions.length + ofProcess.length > 0 && {
      where: (scopes, { class: { environment } }) => {
        if (!conditions.every((condition) => condition(scopes))) return false;
        // Per-process buffers name the process once, in the environment.
        const own = [environment.get('procname'), environment.get('vpid')].map((fact) => String(fact ?? ''));
        return (
          ofProcess.length === 0 ||
          ofProcess.some(
            ({ isIn, isNamed }) => own.some((fact) => fact !== '' && isNamed(fact)) || isIn(scopes),
          )
        );
      },
    }),
  };
}
