/**
 * Work that may be done a little later, in turns of a few at a time, so that a thousand files that are to be made do
 * not hold up the other sessions.
 */

/** One piece of work; it takes itself out (`Turns.delete`) when it is done earlier. */
export interface Turn {
  enter(): void;
}

/** Pieces of work between two looks at what else has come. */
const piecesPerTurn = 8;

/** See the file's head. */
export class Turns {
  readonly #waiting = new Set<Turn>();
  #isScheduled = false;

  get size(): number {
    return this.#waiting.size;
  }

  add(turn: Turn): void {
    this.#waiting.add(turn);
    this.#schedule();
  }

  delete(turn: Turn): void {
    this.#waiting.delete(turn);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      let left = piecesPerTurn;
      for (const turn of this.#waiting) {
        if (left === 0) break;
        left -= 1;
        this.#waiting.delete(turn);
        turn.enter();
      }
      this.#schedule();
    });
  }
}
