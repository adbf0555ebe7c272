/**
 * Prints parts of a view, one after the other, as long as there is one that nobody has begun. Its lines go to slots of
 * shared memory and wait there for the turn of their part; when all slots are taken it waits.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Edges } from '../../lib/index.ts';
import { type PartWord, type PartWork, slotBytes } from './part-words.ts';
import type { PrintEnds, Printer } from './print-options.ts';

type View = Awaited<ReturnType<Printer['openView']>>;

export class PartPrinter {
  readonly #slots: Uint8Array;
  readonly #free: number[];
  readonly #say: (word: PartWord) => void;
  #part = 0;
  #edges: Edges | undefined;
  /** The slot that is being filled, and how far it is. */
  #slot: number | undefined;
  #filled = 0;
  #isStopped = false;
  #goOn = () => {};

  constructor(memory: SharedArrayBuffer, say: (word: PartWord) => void) {
    this.#slots = new Uint8Array(memory);
    this.#free = Array.from({ length: Math.floor(memory.byteLength / slotBytes) }, (_, slot) => slot);
    this.#say = say;
  }

  /** Where the view that is printed has to write to. */
  get ends(): Pick<PrintEnds, 'warn' | 'write'> {
    return {
      warn: (words) => this.#say({ kind: 'words', part: this.#part, words }),
      write: (lines) => this.#write(lines),
    };
  }

  /** Never rejects: it says that it has failed. What is wrong, the one who hears it finds out, and tells. */
  async print({ newEdges }: Printer, view: View, { parts, claims }: PartWork): Promise<void> {
    const claim = new Int32Array(claims);
    try {
      while (!this.#isStopped) {
        this.#part = Atomics.add(claim, 0, 1);
        const part = parts[this.#part];
        if (part === undefined) return;
        const edges = newEdges();
        this.#edges = edges;
        await view.runPart(part, edges, true);
        this.#handOver();
        this.#say({ kind: 'end', part: this.#part, edges });
      }
    } catch {
      this.#say({ kind: 'failed' });
    }
  }

  /** A slot's lines are written. */
  giveBack(slot: number): void {
    this.#free.push(slot);
    this.#goOn();
  }

  /** Nobody wants to hear more. */
  stop(): void {
    this.#isStopped = true;
    this.#goOn();
  }

  async #write(lines: Uint8Array): Promise<void> {
    for (let at = 0; at < lines.length; ) {
      if (this.#slot === undefined) this.#slot = await this.#freeSlot();
      const piece = lines.subarray(at, at + slotBytes - this.#filled);
      this.#slots.set(piece, this.#slot * slotBytes + this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled < slotBytes) return;
      this.#handOver();
      // Nothing else lets this thread hear what others say.
      await turn();
    }
  }

  async #freeSlot(): Promise<number> {
    while (this.#free.length === 0 && !this.#isStopped)
      await new Promise<void>((done) => {
        this.#goOn = done;
      });
    if (this.#isStopped) throw new Error('stopped');
    return this.#free.pop() as number;
  }

  #handOver(): void {
    if (this.#slot === undefined || this.#edges === undefined) return;
    this.#say({
      kind: 'lines',
      part: this.#part,
      slot: this.#slot,
      bytes: this.#filled,
      edges: this.#edges,
    });
    this.#slot = undefined;
    this.#filled = 0;
  }
}
