/**
 * Work that may be done a little later, in turns of a few at a time, so that a thousand files that are to be made do
 * not hold up the other sessions.
 */

/** One piece of work; it takes itself out (`Turns.delete`) when it is done earlier. */
export interface Turn {
  /** What can be told of it beforehand, so that those of one turn share a write of the journal. */
  announce(): void;
  enter(): void;
}

/** Pieces of work between two looks at what else has come. */
const piecesPerTurn = 8;
/** Whoever brought the work has more to say first: a rotation is four requests. */
const pauseMs = 2;

/** See the file's head. */
export class Turns {
  readonly #waiting = new Set<Turn>();
  #pause: NodeJS.Timeout | undefined;
  #isUnderWay = false;

  get size(): number {
    return this.#waiting.size;
  }

  add(turn: Turn): void {
    this.#waiting.add(turn);
    if (this.#isUnderWay) return;
    if (this.#pause === undefined) this.#pause = setTimeout(() => this.#begin(), pauseMs);
    else this.#pause.refresh();
  }

  delete(turn: Turn): void {
    this.#waiting.delete(turn);
  }

  #begin(): void {
    this.#pause = undefined;
    this.#isUnderWay = this.#waiting.size > 0;
    if (this.#isUnderWay) this.#next();
  }

  #next(): void {
    const turns = [...this.#take()];
    for (const turn of turns) turn.announce();
    for (const turn of turns) turn.enter();
    this.#isUnderWay = this.#waiting.size > 0;
    if (this.#isUnderWay) setImmediate(() => this.#next());
  }

  *#take(): Generator<Turn> {
    let left = piecesPerTurn;
    for (const turn of this.#waiting) {
      if (left === 0) return;
      left -= 1;
      this.#waiting.delete(turn);
      yield turn;
    }
  }
}
