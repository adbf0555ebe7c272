/**
 * `millrace view --jobs`: threads decode parts of the time in turn, part n in thread n modulo their number; this one
 * puts their lines behind each other. Whatever goes wrong in a part, its events are printed once more from its
 * beginning by this thread alone, but for what was written of it: so every error is told as without threads.
 */
import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Edges, EventTime, Part, ViewOptions } from '../../lib/index.ts';
import { type JobData, type JobWord, slotBytes, slotCount } from './job-words.ts';
import { type Finished, finishedOptions, type Printer } from './print-options.ts';

/** Bytes of packets in a part: where it begins and ends, every stream has half a packet that is decoded twice. */
const partBytes = 2_097_152;

/** Rejects what `view` rejects with. */
export async function printInParts(printer: Printer, finished: Finished): Promise<void> {
  const { settings, inputs, ends } = finished;
  const whole = finishedOptions(printer, finished);
  const view = await printer.openView(whole);
  const parts = view.parts(partBytes);
  if (parts.length < 2) {
    try {
      return await view.run();
    } finally {
      await view.close();
    }
  }
  await view.close();
  const count = Math.min(settings.jobs, parts.length);
  const jobs = Array.from({ length: count }, (_, job) => {
    const own = parts.filter((_part, i) => i % count === job);
    return new Job({ settings, inputs, colorful: ends.colorful, parts: own });
  });
  const joined = new Joined(printer, whole, ends.warn);
  try {
    for (const [i, part] of parts.entries()) {
      if (await joined.take(jobs[i % count] as Job)) continue;
      await printRest(printer, { ...finished, part, joined });
      return;
    }
  } finally {
    await Promise.all(jobs.map((job) => job.end()));
  }
}

/** A thread, from the outside. */
class Job {
  readonly #worker: Worker;
  readonly #words: AsyncIterator<unknown>;
  readonly #memory = new SharedArrayBuffer(slotBytes * slotCount);

  constructor(about: Omit<JobData, 'memory'>) {
    const workerData: JobData = { ...about, memory: this.#memory };
    this.#worker = new Worker(new URL('./job.js', import.meta.url), { workerData });
    this.#words = on(this.#worker, 'message')[Symbol.asyncIterator]();
  }

  /** Rejects when the thread has died. */
  async next(): Promise<JobWord> {
    const { value } = await this.#words.next();
    return (value as [JobWord])[0];
  }

  /** The lines in a slot: lent until it is given back. */
  linesOf(slot: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#memory, slot * slotBytes, bytes);
  }

  giveBack(slot: number): void {
    this.#worker.postMessage(slot);
  }

  async end(): Promise<void> {
    await this.#words.return?.();
    await this.#worker.terminate();
  }
}

/** The lines of all parts behind each other. */
class Joined {
  readonly #options: ViewOptions;
  readonly #warn: (line: string) => void;
  readonly #prefix: InstanceType<Printer['TextBuffer']>;
  /** The last event of the parts that are done. */
  last: EventTime | undefined;
  /** What was written of the part at hand. */
  bytes = 0;
  words = 0;

  constructor(printer: Printer, options: ViewOptions, warn: (line: string) => void) {
    this.#options = options;
    this.#warn = warn;
    this.#prefix = new printer.TextBuffer(16_384);
  }

  /** Takes one part from a thread. Resolves to false where it failed. */
  async take(job: Job): Promise<boolean> {
    this.bytes = 0;
    this.words = 0;
    for (;;) {
      const word = await job.next().catch((): JobWord => ({ kind: 'failed' }));
      switch (word.kind) {
        case 'lines':
          await this.#write(job.linesOf(word.slot, word.bytes), word.edges);
          job.giveBack(word.slot);
          break;
        case 'words':
          this.words += 1;
          this.#warn(word.words);
          break;
        case 'end':
          this.last = word.edges.last ?? this.last;
          if (word.edges.last !== undefined) this.#prefixOf(word.edges.last);
          return true;
        case 'failed':
          return false;
      }
    }
  }

  /** The first line of a part tells the time since the last one of the part before: its prefix is made here. */
  async #write(lines: Uint8Array, { first, firstPrefixBytes }: Edges): Promise<void> {
    const pieces =
      this.bytes === 0 && first !== undefined
        ? [this.#prefixOf(first).slice(), lines.subarray(firstPrefixBytes)]
        : [lines];
    for (const piece of pieces) {
      this.bytes += piece.length;
      await this.#options.write(piece);
    }
  }

  #prefixOf(event: EventTime): Uint8Array {
    this.#prefix.at = 0;
    this.#options.format.prefix(this.#prefix, event);
    return this.#prefix.bytes.subarray(0, this.#prefix.at);
  }
}

/** From a part to the end, in this thread, but for what was written of the part. */
async function printRest(
  printer: Printer,
  { part: { begin }, joined, ...finished }: Finished & { part: Part; joined: Joined },
): Promise<void> {
  const { warn, write } = finished.ends;
  let { bytes, words } = joined;
  const ends = {
    ...finished.ends,
    warn: (line: string) => {
      if (words > 0) words -= 1;
      else warn(line);
    },
    write: async (lines: Uint8Array) => {
      const known = Math.min(bytes, lines.length);
      bytes -= known;
      if (known < lines.length) await write(lines.subarray(known));
    },
  };
  const options = finishedOptions(printer, { ...finished, ends });
  if (joined.last !== undefined) options.format.prefix(new printer.TextBuffer(16_384), joined.last);
  const view = await printer.openView(options);
  try {
    await view.runPart({ begin, end: undefined }, { firstPrefixBytes: 0 }, false);
  } finally {
    await view.close();
  }
}
