/**
 * Prints parts of a view, one after the other, as long as there is one that nobody has begun. Its lines are written into
 * slots of shared memory and wait there for the turn of their part; when all slots are taken it waits.
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
  /** The slot that is being filled. */
  #slot = 0;
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
        await view.runPart(part, edges, { isWatched: true, memory: () => this.#nextSlot() });
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

  /** Of a slot that is filled from now on. */
  async #nextSlot(): Promise<Uint8Array> {
    while (this.#free.length === 0 && !this.#isStopped)
      await new Promise<void>((done) => {
        this.#goOn = done;
      });
    if (this.#isStopped) throw new Error('stopped');
    this.#slot = this.#free.pop() as number;
    return this.#bytesOf(this.#slot);
  }

  async #write(lines: Uint8Array): Promise<void> {
    if (lines.buffer === this.#slots.buffer) this.#handOver(lines.length);
    else
      for (let at = 0; at < lines.length; at += slotBytes) {
        // A line that is too long for a slot, and those before it.
        const piece = lines.subarray(at, at + slotBytes);
        const slot = at === 0 ? this.#bytesOf(this.#slot) : await this.#nextSlot();
        slot.set(piece);
        this.#handOver(piece.length);
      }
    // Nothing else lets this thread hear what others say.
    await turn();
  }

  #bytesOf(slot: number): Uint8Array {
    return this.#slots.subarray(slot * slotBytes, (slot + 1) * slotBytes);
  }

  #handOver(bytes: number): void {
    this.#say({ kind: 'lines', part: this.#part, slot: this.#slot, bytes, edges: this.#edges as Edges });
  }
}
