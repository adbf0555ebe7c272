/** What a migration tells: figures for who asks, events for who follows. */
import { setTimeout as delay } from 'node:timers/promises';
import type { MirrorState } from './states.ts';

/** Who has asked so lately is taken to ask again. */
const followMs = 5000;

/** How a migration stands. Bytes, bytes a second, milliseconds. */
export interface MirrorFigures {
  state: MirrorState;
  /** Where to, as in log lines. */
  destination: string;
  sizeBytes: number;
  /** Still to be sent: never sent, or written since. */
  leftBytes: number;
  sentBytes: number;
  /** 1 is the first copy. */
  pass: number;
  /** Counts connections made anew. */
  attempt: number;
  bytesPerSecond: number;
  /** Infinity while nothing moves. */
  secondsLeft: number;
  durationMs: number;
  limitBytesPerSecond: number | undefined;
  /** Bytes of holes that were not sent as data, bytes compared by hash. */
  holeBytes: number;
  verifiedBytes: number;
}

/** One thing that happened, in order; `seq` counts them from 1. */
export interface MirrorHappening {
  seq: number;
  /** Milliseconds since 1970. */
  atMs: number;
  /**
   * `connected`, `resumed`, `pass`, `shutting`, `finishing`, `retrying`, and the ends: `done`, `returned` (action
   * `nothing`), `broken`, `stopped`, `refused` (the first attempt failed).
   */
  event: MirrorEventName;
  facts: Readonly<Record<string, string | number | boolean | undefined>>;
}

export type MirrorEventName =
  | 'connecting'
  | 'connected'
  | 'resumed'
  | 'pass'
  | 'shutting'
  | 'finishing'
  | 'retrying'
  | 'done'
  | 'returned'
  | 'broken'
  | 'stopped'
  | 'refused';

const ends: ReadonlySet<MirrorEventName> = new Set(['done', 'returned', 'broken', 'stopped', 'refused']);

/** Whether nothing follows this in its migration. */
export function isEnd(event: MirrorEventName): boolean {
  return ends.has(event);
}

/** Keeps the last events for who comes late, and wakes who waits. */
export class Happenings {
  readonly #kept: MirrorHappening[] = [];
  readonly #most: number;
  #seq = 0;
  #waiting: Array<() => void> = [];
  #askedMs = Number.NEGATIVE_INFINITY;
  #fetched = 0;

  /** `most`: how many are kept. */
  constructor(most = 1000) {
    this.#most = most;
  }

  add(event: MirrorEventName, facts: MirrorHappening['facts'] = {}): void {
    this.#seq += 1;
    this.#kept.push({ seq: this.#seq, atMs: Date.now(), event, facts });
    if (this.#kept.length > this.#most) this.#kept.shift();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Number of the last one; 0: none yet. */
  get last(): number {
    return this.#seq;
  }

  since(seq: number): MirrorHappening[] {
    return this.#kept.filter((each) => each.seq > seq);
  }

  /** Somebody is about to ask. */
  expect(): void {
    this.#askedMs = performance.now();
  }

  /**
   * Resolves once somebody who follows has fetched the last one, or nobody does, or after `graceMs`: a program whose disk
   * has gone must not end before it has said so.
   */
  async fetched(graceMs: number): Promise<void> {
    const untilMs = performance.now() + graceMs;
    const follows = performance.now() - this.#askedMs < followMs;
    while (follows && this.#fetched < this.#seq && performance.now() < untilMs) await delay(10);
  }

  /** Those behind `seq`, as soon as there is one, or none after `waitMs`. */
  async wait(seq: number, waitMs: number): Promise<MirrorHappening[]> {
    this.expect();
    if (this.#seq <= seq) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        timer = setTimeout(resolve, waitMs);
      });
      clearTimeout(timer);
    }
    // the answer is on its way a turn later
    setImmediate((last: number) => {
      this.#fetched = last;
    }, this.#seq);
    return this.since(seq);
  }
}
