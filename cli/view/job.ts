/** A thread of `millrace view --jobs`. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadPrinter } from '../../lib/start.ts';
import { PartPrinter } from './part-printer.ts';
import type { JobData, PartWord, PartWork } from './part-words.ts';
import { finishedOptions } from './print-options.ts';

const port = parentPort;
if (port !== null) await print(workerData as JobData, port);

async function print(
  { settings, inputs, colorful, memory }: JobData,
  to: NonNullable<typeof parentPort>,
): Promise<void> {
  const say = (word: PartWord) => to.postMessage(word);
  const parts = new PartPrinter(memory, say);
  const work = new Promise<PartWork>((given) => {
    to.on('message', (word: number | PartWork) =>
      typeof word === 'number' ? parts.giveBack(word) : given(word),
    );
  });
  try {
    const printer = await loadPrinter();
    const ends = { colorful, ...parts.ends };
    const view = await printer.openView(await finishedOptions(printer, { settings, inputs, ends }));
    await parts.print(printer, view, await work);
    await view.close();
  } catch {
    say({ kind: 'failed' });
  } finally {
    to.removeAllListeners('message');
  }
}
