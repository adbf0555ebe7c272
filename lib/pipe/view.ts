/** A source's events as lines: what `millrace view` prints of what is not a finished directory. */
import type { Readable } from 'node:stream';
import { compose, type Outcome } from '../stage/compose.ts';
import { meter } from '../stage/meter.ts';
import type { LiveViewOptions } from '../viewer/index.ts';
import { missingOf } from './missing.ts';
import { openViewSource } from './raw.ts';

/** What to view, and how. */
export interface LiveViewRun extends LiveViewOptions {
  /** Any source of a pipe; a live session also in babeltrace2's form `net://…/host/…`. */
  source: string;
  /** Go on with a directory that others are writing. */
  follow: boolean;
  stdin(): Readable;
  /** Ends it without an error, after what has come. */
  signal: AbortSignal;
}

/**
 * Prints until the source ends. Resolves with how it went and what is missing. Rejects MR_ERR_NETWORK_URI and
 * MR_ERR_PIPE_PAIR for what is no source.
 */
export async function viewLive(run: LiveViewRun): Promise<{ outcome: Outcome; missing: string[] }> {
  const { signal } = run;
  const source = await openViewSource(run);
  const { liveViewSink } = await import('../viewer/index.ts');
  const { stage: counting, passed } = meter();
  const pipe = compose([
    ...source.stages,
    { name: 'meter', stream: counting },
    { name: 'view', stream: liveViewSink(run) },
  ]);
  const stop = () => pipe.abort();
  signal.addEventListener('abort', stop, { once: true });
  const outcome = await pipe.outcome;
  signal.removeEventListener('abort', stop);
  return { outcome, missing: missingOf(source, passed) };
}
