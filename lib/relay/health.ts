/**
 * Whether the parts of the relay move, in the bits that lttng-relayd uses for its threads: a part is unwell when it
 * has failed, or has not moved for `limits.healthSeconds` although it had something to do.
 *
 * lttng-relayd has a thread for each part; here one event loop serves all of them. When it stands still every part
 * does, and nobody is answered meanwhile: those who asked in that time, or soon after, are told then. Writes to a
 * slow disk are the one thing that stands still alone.
 */

/** Source: relay-behaviour, "Run folder and health socket". */
export const healthBit = {
  dispatcher: 1,
  worker: 2,
  listener: 4,
  liveDispatcher: 8,
  liveWorker: 16,
  liveListener: 32,
} as const;

const everything = Object.values(healthBit).reduce((bits, bit) => bits | bit, 0);

/** What is looked at. */
export interface Vitals {
  /** Bytes handed to files and not yet written. */
  bytesInFlight: number;
  /** Grows with every write. */
  writtenBytes: number;
  /** Whether producers, and viewers, can connect. */
  listening: boolean;
  liveListening: boolean;
}

/** See the file's head. `beat` is to be called once a second or so. `clock`: milliseconds, injectable for tests. */
export class Health {
  readonly #look: () => Vitals;
  readonly #patienceMs: number;
  readonly #clock: () => number;
  #beatMs: number;
  /** End of the last time that the event loop stood still for too long. */
  #stoodStillMs = Number.NEGATIVE_INFINITY;
  #vitals: Vitals;
  #wroteMs: number;

  constructor(look: () => Vitals, patienceMs: number, clock: () => number = () => performance.now()) {
    this.#look = look;
    this.#patienceMs = patienceMs;
    this.#clock = clock;
    this.#vitals = look();
    this.#beatMs = this.#wroteMs = clock();
  }

  /** Notes that the event loop moves, and what has moved since the last time. */
  beat(): void {
    const nowMs = this.#clock();
    if (nowMs - this.#beatMs > this.#patienceMs) this.#stoodStillMs = nowMs;
    this.#beatMs = nowMs;
    const before = this.#vitals;
    this.#vitals = this.#look();
    const { bytesInFlight, writtenBytes } = this.#vitals;
    const isStuck =
      bytesInFlight > 0 && bytesInFlight === before.bytesInFlight && writtenBytes === before.writtenBytes;
    if (!isStuck) this.#wroteMs = nowMs;
  }

  /** The bits of the parts that are unwell; 0: all are well. */
  get bits(): number {
    this.beat();
    const nowMs = this.#clock();
    if (nowMs - this.#stoodStillMs < this.#patienceMs) return everything;
    const { listening, liveListening } = this.#vitals;
    let bits = 0;
    if (nowMs - this.#wroteMs > this.#patienceMs) bits |= healthBit.worker;
    if (!listening) bits |= healthBit.listener;
    if (!liveListening) bits |= healthBit.liveListener;
    return bits;
  }
}
