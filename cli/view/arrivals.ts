/** What has been said of the parts of a view, by whoever prints them, until it is asked for part by part. */
import type { Edges } from '../../lib/index.ts';
import { type PartWord, slotBytes } from './part-words.ts';

/** `lines` are lent until `done` is called. */
export type Arrival =
  | { kind: 'lines'; lines: Uint8Array; edges: Edges; done: () => void }
  | { kind: 'words'; words: string }
  | { kind: 'end'; edges: Edges }
  | { kind: 'failed' };

export class Arrivals {
  readonly #byPart = new Map<number, Arrival[]>();
  #hasFailed = false;
  #goOn = () => {};

  /** `memory`: of who says it; `giveBack` tells it that a slot is free again. */
  add(word: PartWord, memory: SharedArrayBuffer, giveBack: (slot: number) => void): void {
    if (word.kind === 'failed') this.fail();
    else if (word.kind === 'lines') {
      const { slot, bytes, edges } = word;
      const lines = new Uint8Array(memory, slot * slotBytes, bytes);
      this.#push(word.part, { kind: 'lines', lines, edges, done: () => giveBack(slot) });
    } else this.#push(word.part, word);
  }

  /** Someone has failed, or died: what it began never ends. */
  fail(): void {
    this.#hasFailed = true;
    this.#goOn();
  }

  /** What comes next of a part. Resolves to `failed` where nothing has come yet, and someone has failed. */
  async next(part: number): Promise<Arrival> {
    for (;;) {
      const next = this.#byPart.get(part)?.shift();
      if (next?.kind === 'end') this.#byPart.delete(part);
      if (next !== undefined) return next;
      if (this.#hasFailed) return { kind: 'failed' };
      await new Promise<void>((done) => {
        this.#goOn = done;
      });
    }
  }

  #push(part: number, arrival: Arrival): void {
    const queue = this.#byPart.get(part);
    if (queue === undefined) this.#byPart.set(part, [arrival]);
    else queue.push(arrival);
    this.#goOn();
  }
}
