/** `millrace view --raw`: frames instead of events. */
import { loadPipe } from '../../lib/start.ts';
import type { Context } from '../context.ts';
import { runService } from '../service.ts';
import { usageError } from '../usage.ts';

/** Prints the frames of one source. Resolves to the exit status. */
export async function viewFrames(
  context: Context,
  operands: readonly string[],
  { follow }: { follow: boolean },
): Promise<number> {
  const [source, ...more] = operands;
  if (source === undefined || more.length > 0) throw usageError('--raw shows one SOURCE');
  const { viewRaw } = await loadPipe();
  return runService(context, {}, async ({ signals }) => {
    const interrupted = new AbortController();
    void signals.first.then(() => interrupted.abort());
    const stdin = () => context.stdin();
    const { signal } = interrupted;
    const { outcome, missing } = await viewRaw({ source, follow, out: context.stdout, stdin, signal });
    for (const line of missing) context.stderr.write(`millrace view: ${line}\n`);
    // A reader that went away has seen enough.
    if (outcome.kind === 'error' && (outcome.error.cause as NodeJS.ErrnoException)?.code === 'EPIPE')
      return 1;
    if (outcome.kind === 'error') throw outcome.error;
    return missing.length > 0 || (outcome.kind === 'abort' && !signal.aborted) ? 1 : 0;
  });
}
