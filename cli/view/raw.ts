/** `millrace view --raw`: frames instead of events. */
import { openLog } from '../../lib/index.ts';
import { loadPipe } from '../../lib/start.ts';
import type { Context } from '../context.ts';
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
  const interrupted = new AbortController();
  let isInterrupted = false;
  const forget = (['SIGINT', 'SIGTERM'] as const).map((name) =>
    context.onSignal(name, () => {
      isInterrupted = true;
      interrupted.abort();
    }),
  );
  const log = openLog({ stream: context.stderr, format: 'text', level: 'warn' });
  try {
    const stdin = () => context.stdin();
    const { signal } = interrupted;
    const { outcome, missing } = await viewRaw({ source, follow, out: context.stdout, stdin, signal });
    for (const line of missing) context.stderr.write(`millrace view: ${line}\n`);
    // A reader that went away has seen enough.
    if (outcome.kind === 'error' && (outcome.error.cause as NodeJS.ErrnoException)?.code === 'EPIPE')
      return 1;
    if (outcome.kind === 'error') throw outcome.error;
    return missing.length > 0 || (outcome.kind === 'abort' && !isInterrupted) ? 1 : 0;
  } finally {
    log.close();
    for (const each of forget) each();
  }
}
