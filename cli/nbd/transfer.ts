/** Doing something long with a disk: signals call it off, a terminal shows how far it is, the end is told. */
import type { Context } from '../context.ts';
import { bytesText, showProgress } from '../progress.ts';
import { watchSignals } from '../relay/stop-signals.ts';

/** How far it is, bytes. */
export interface Transferred {
  doneBytes: number;
  totalBytes: number;
  /** Of those, read and written; the rest are holes. */
  dataBytes: number;
}

/** Runs `work`, which reports by the function that it gets. Rejects as `work`, or when a signal calls it off. */
export async function transfer(
  context: Context,
  { json, name }: { json: boolean; name: string },
  work: (report: (now: Transferred) => void, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const signals = watchSignals(context);
  const stop = new AbortController();
  void signals.first.then(() => stop.abort(new Error('called off by a signal')));
  const startMs = performance.now();
  let now: Transferred = { doneBytes: 0, totalBytes: 0, dataBytes: 0 };
  const progress = showProgress(context, () => ({
    bytes: now.doneBytes,
    totalBytes: now.totalBytes,
    text: `${bytesText(now.dataBytes)} of data`,
  }));
  try {
    await work((next) => {
      now = next;
    }, stop.signal);
  } finally {
    progress.end();
    signals.forget();
  }
  const seconds = (performance.now() - startMs) / 1000;
  if (json) context.stderr.write(`${JSON.stringify({ ...now, seconds })}\n`);
  else if (context.stderrIsTerminal)
    context.stderr.write(
      `millrace nbd ${name}: ${bytesText(now.doneBytes)}, ${bytesText(now.dataBytes)} of data, in ${seconds.toFixed(1)} s\n`,
    );
}
