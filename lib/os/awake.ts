/**
 * Keeps the event loop from falling asleep while a peer that waits for each answer makes up its next question. To be
 * woken takes a process on an idle core as long as the rest of such an exchange (20 to 40 us); a turn of the loop that
 * finds nothing takes 2. Where peers do not come back in time this is given up, and tried again now and then: so it
 * costs nothing where it is of no use.
 */

/** How long the next question may take to come, milliseconds. */
const patienceMs = 0.05;
/** Waits in vain until it is given up. */
const mostCredit = 8;
/** Answers until it is tried again. */
const declinedAnswers = 64;

/** See the file's head. There is one for the process, `awake`: it has one loop. */
export class Awake {
  readonly #nowMs: () => number;
  readonly #nextTurn: (turn: () => void) => void;
  #untilMs = 0;
  #isAwake = false;
  #credit = mostCredit;
  #declined = 0;

  /** `nextTurn` calls its function once in the next turn of the loop, which does not wait for anything then. */
  constructor(nowMs: () => number, nextTurn: (turn: () => void) => void) {
    this.#nowMs = nowMs;
    this.#nextTurn = nextTurn;
  }

  /** A short answer has been sent to somebody who waited for it. */
  answered(): void {
    if (this.#isAwake) {
      // to a question that came in time
      if (this.#credit < mostCredit) this.#credit += 1;
    } else if (this.#credit === 0) {
      this.#declined += 1;
      if (this.#declined < declinedAnswers) return;
      this.#declined = 0;
    }
    this.#untilMs = this.#nowMs() + patienceMs;
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#nextTurn(this.#turn);
  }

  /** Bytes come in bulk: they take fewer reads if they gather while the loop sleeps. */
  rest(): void {
    this.#untilMs = 0;
  }

  readonly #turn = (): void => {
    if (this.#nowMs() < this.#untilMs) {
      this.#nextTurn(this.#turn);
      return;
    }
    this.#isAwake = false;
    if (this.#credit > 0) this.#credit -= 1;
  };
}

/** That of the process. */
export const awake = new Awake(() => performance.now(), setImmediate);
