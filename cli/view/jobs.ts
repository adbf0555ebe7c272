/**
 * `millrace view --jobs`: this thread and others print parts of the time, each the first one that nobody has begun, and
 * this one puts the lines of all parts behind each other. Whatever goes wrong in a part, its events are printed once more
 * from its beginning by this thread alone, but for what was written of it: so every error is told as without threads.
 */
import { Worker } from 'node:worker_threads';
import type { Edges, EventTime, Moment, Part, ViewOptions } from '../../lib/index.ts';
import { loadPrinter } from '../../lib/start.ts';
import { Arrivals } from './arrivals.ts';
import { PartPrinter } from './part-printer.ts';
import { type JobData, newSlots, type PartWord, type PartWork } from './part-words.ts';
import { type Finished, finishedOptions, type Printer } from './print-options.ts';

/** Bytes of packets in a part: where it begins and ends, every stream has half a packet that is decoded twice. */
const partBytes = { least: 2_097_152, most: 4_194_304 };

/** Rejects what `view` rejects with. */
export async function printInParts(finished: Finished): Promise<void> {
  const rest = await printParts(finished);
  if (rest !== undefined) await printRest(finished, rest);
}

/** What is left to print where something went wrong: from the part on that failed. */
interface Rest {
  printer: Printer;
  joined: Joined;
  begin: Moment | undefined;
}

async function printParts(finished: Finished): Promise<Rest | undefined> {
  const { settings, inputs, ends } = finished;
  const arrivals = new Arrivals();
  const newJob = () => new Job({ settings, inputs, colorful: ends.colorful }, arrivals);
  // The first one starts, loads its code and opens its view while this thread does; whether more are needed is not known yet.
  const jobs = [newJob()];
  const memory = newSlots();
  const own: PartPrinter = new PartPrinter(memory, (word) =>
    arrivals.add(word, memory, (slot) => own.giveBack(slot)),
  );
  // Straight to its ends, unless there are parts.
  const outlet = { ...ends };
  let view: Awaited<ReturnType<Printer['openView']>> | undefined;
  try {
    const printer = await loadPrinter();
    view = await printer.openView(
      await finishedOptions(printer, {
        ...finished,
        ends: { ...ends, warn: (line) => outlet.warn(line), write: (lines) => outlet.write(lines) },
      }),
    );
    const parts = view.parts(partBytes);
    if (parts.length < 2) {
      await view.run();
      return undefined;
    }
    Object.assign(outlet, own.ends);
    const work: PartWork = { parts, claims: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
    while (jobs.length < Math.min(settings.jobs, parts.length) - 1) jobs.push(newJob());
    for (const job of jobs) job.begin(work);
    const printed = own.print(printer, view, work);
    const joined = new Joined(printer, await finishedOptions(printer, finished), arrivals, ends.warn);
    try {
      const failed = await joined.takeAll(parts);
      return failed && { printer, joined, begin: failed.begin };
    } finally {
      own.stop();
      await printed;
    }
  } finally {
    await Promise.all([view?.close(), ...jobs.map((job) => job.end())]);
  }
}

/** A thread, from the outside. */
class Job {
  readonly #worker: Worker;

  constructor(about: Omit<JobData, 'memory'>, arrivals: Arrivals) {
    const memory = newSlots();
    const workerData: JobData = { ...about, memory };
    this.#worker = new Worker(new URL('./job.js', import.meta.url), { workerData });
    const giveBack = (slot: number) => this.#worker.postMessage(slot);
    this.#worker.on('message', (word: PartWord) => arrivals.add(word, memory, giveBack));
    this.#worker.on('error', () => arrivals.fail());
  }

  begin(work: PartWork): void {
    this.#worker.postMessage(work);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The lines of all parts behind each other. */
class Joined {
  readonly #options: ViewOptions;
  readonly #arrivals: Arrivals;
  readonly #warn: (line: string) => void;
  readonly #prefix: InstanceType<Printer['TextBuffer']>;
  readonly #time: InstanceType<Printer['TimeSlot']>;
  /** The last event of the parts that are done. */
  last: EventTime | undefined;
  /** What was written of the part at hand. */
  bytes = 0;
  words = 0;

  constructor(
    { TextBuffer, TimeSlot }: Printer,
    options: ViewOptions,
    arrivals: Arrivals,
    warn: (line: string) => void,
  ) {
    this.#options = options;
    this.#arrivals = arrivals;
    this.#prefix = new TextBuffer(16_384);
    this.#time = new TimeSlot();
    this.#warn = warn;
  }

  /** Resolves to the part that failed; undefined: none. */
  async takeAll(parts: readonly Part[]): Promise<Part | undefined> {
    for (const [i, part] of parts.entries()) if (!(await this.#take(i))) return part;
    return undefined;
  }

  async #take(part: number): Promise<boolean> {
    this.bytes = 0;
    this.words = 0;
    for (;;) {
      const next = await this.#arrivals.next(part);
      switch (next.kind) {
        case 'lines':
          await this.#write(next.lines, next.edges);
          next.done();
          break;
        case 'words':
          this.words += 1;
          this.#warn(next.words);
          break;
        case 'end':
          this.last = next.edges.last ?? this.last;
          if (next.edges.last !== undefined) this.#prefixOf(next.edges.last);
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
    Object.assign(this.#time, event);
    this.#options.format.prefix(this.#prefix, this.#time);
    return this.#prefix.bytes.subarray(0, this.#prefix.at);
  }
}

/** From a part to the end, in this thread, but for what was written of the part. */
async function printRest(finished: Finished, { printer, joined, begin }: Rest): Promise<void> {
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
  const options = await finishedOptions(printer, { ...finished, ends });
  if (joined.last !== undefined) options.format.prefix(new printer.TextBuffer(16_384), joined.last);
  const view = await printer.openView(options);
  try {
    await view.runPart({ begin, end: undefined }, printer.newEdges());
  } finally {
    await view.close();
  }
}
