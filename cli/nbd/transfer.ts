/** Doing something long with a disk: signals call it off, a terminal shows how far it is, the end is told. */
import type { Context } from '../context.ts';
import { bytesText } from '../progress.ts';
import { runService } from '../service.ts';

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
  const startMs = performance.now();
  let now: Transferred = { doneBytes: 0, totalBytes: 0, dataBytes: 0 };
  await runService(context, {}, async ({ progress, signals }) => {
    const stop = new AbortController();
    void signals.first.then(() => stop.abort(new Error('called off by a signal')));
    progress(() => ({
      bytes: now.doneBytes,
      totalBytes: now.totalBytes,
      text: `${bytesText(now.dataBytes)} of data`,
    }));
    await work((next) => {
      now = next;
    }, stop.signal);
  });
  const seconds = (performance.now() - startMs) / 1000;
  if (json) context.stderr.write(`${JSON.stringify({ ...now, seconds })}\n`);
  else if (context.stderrIsTerminal)
    context.stderr.write(
      `millrace nbd ${name}: ${bytesText(now.doneBytes)}, ${bytesText(now.dataBytes)} of data, in ${seconds.toFixed(1)} s\n`,
    );
}
