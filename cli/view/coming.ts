/** `millrace view` of what is still coming: live sessions, captures, standard input, growing directories. */
import type { LiveViewOptions } from '../../lib/index.ts';
import { loadPipe } from '../../lib/start.ts';
import type { Context } from '../context.ts';
import { usageError } from '../usage.ts';
import type { ViewSettings } from './settings.ts';

/** Whether the source is read as it comes. */
export function isLive(inputs: readonly string[], { follow }: ViewSettings): boolean {
  return follow || inputs.some((input) => input === '-' || /^([a-z][a-z0-9+]*:\/\/|capture:)/i.test(input));
}

/** Prints until the source ends, or the first signal. Resolves to the exit status; throws what went wrong. */
export async function viewComing(
  context: Context,
  inputs: readonly string[],
  { follow }: ViewSettings,
  options: LiveViewOptions,
): Promise<number> {
  const [source, ...more] = inputs;
  if (source === undefined || more.length > 0) throw usageError('one SOURCE is read as it comes');
  const { viewLive } = await loadPipe();
  // A view of what is finished starts without it.
  const { runService } = await import('../service.ts');
  return runService(context, {}, async ({ signals }) => {
    const interrupted = new AbortController();
    void signals.first.then(() => interrupted.abort());
    const stdin = () => context.stdin();
    const { signal } = interrupted;
    const { outcome, missing } = await viewLive({ ...options, source, follow, stdin, signal });
    for (const line of missing) context.stderr.write(`millrace view: ${line}\n`);
    if (outcome.kind === 'error') throw outcome.error;
    return missing.length > 0 ? 1 : 0;
  });
}
