/** A thread of `millrace view --jobs`: prints its parts, one after the other, to the thread that started it. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Edges } from '../../lib/index.ts';
import { loadPrinter } from '../../lib/start.ts';
import { type JobData, type JobWord, slotBytes } from './job-words.ts';
import { finishedOptions } from './print-options.ts';

const port = parentPort;
if (port !== null) await print(workerData as JobData, port);

async function print(
  { parts, colorful, memory, ...job }: JobData,
  to: NonNullable<typeof parentPort>,
): Promise<void> {
  const say = (word: JobWord) => to.postMessage(word);
  const slots = new Uint8Array(memory);
  const free = Array.from({ length: Math.floor(slots.length / slotBytes) }, (_, slot) => slot);
  let goOn = () => {};
  to.on('message', (slot: number) => {
    free.push(slot);
    goOn();
  });
  let edges: Edges = { firstPrefixBytes: 0 };
  const write = async (lines: Uint8Array) => {
    for (let at = 0; at < lines.length; at += slotBytes) {
      while (free.length === 0)
        await new Promise<void>((done) => {
          goOn = done;
        });
      const slot = free.pop() as number;
      const piece = lines.subarray(at, at + slotBytes);
      slots.set(piece, slot * slotBytes);
      say({ kind: 'lines', slot, bytes: piece.length, edges });
    }
  };
  const ends = { colorful, warn: (words: string) => say({ kind: 'words', words }), write };
  const printer = await loadPrinter();
  try {
    const view = await printer.openView(finishedOptions(printer, { ...job, ends }));
    try {
      for (const part of parts) {
        edges = { firstPrefixBytes: 0 };
        await view.runPart(part, edges, true);
        say({ kind: 'end', edges });
      }
    } finally {
      await view.close();
    }
  } catch {
    // What it is, the other thread finds out, and tells.
    say({ kind: 'failed' });
  } finally {
    to.removeAllListeners('message');
  }
}
