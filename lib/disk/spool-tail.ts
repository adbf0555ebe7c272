/**
 * The last frames of a spool, as they came: a reader that keeps up takes them from here and need not read the spool's
 * files. They are in those files all the same, or on their way, so nobody ever waits for room here: what would hold more
 * slabs than it may is dropped as a whole, and the reader goes to the files.
 */
import type { FrameBatch } from '../stage/batch.ts';
import type { Frame } from '../stage/frames.ts';
import { looseSlab, Slab } from '../stage/slab.ts';

/** Slabs that several tails hold together, and whoever has taken frames from them; at the most so many. */
export interface TailBudget {
  held: number;
  readonly most: number;
}

interface TailFrame {
  frame: Frame;
  slab: Slab | undefined;
}

/** Frames that may wait, whatever they hold. */
const mostFrames = 16_384;
/** Frames that a reader gets at once. */
const mostTogether = 512;
/** So many slabs are left when who sends is asked to wait a moment. */
const fewSlabs = 2;
/** So long: a link that takes a slab in that time (200 MB/s) is worth it, any other one gets its packets from the files. */
const momentMs = 5;

/** See the file's head. */
export class SpoolTail {
  readonly #budgets: readonly TailBudget[];
  #frames: TailFrame[] = [];
  /** Number of the first of them; undefined: nothing is kept. */
  #first: number | undefined;
  /** The slab that came last, and what stands for it here. */
  #last: { slab: Slab; share: Slab } | undefined;
  /** Slabs of this tail that have not come home. */
  #held = 0;
  /** Those who wait for room: a session's connections do so at the same time. */
  readonly #waiting = new Set<() => void>();

  /** `budgets`: all of them have to have room. */
  constructor(budgets: readonly TailBudget[]) {
    this.#budgets = budgets;
  }

  /** Keeps what comes from now on, unless it does so already; `next` is the number of the next frame. */
  begin(next: number): void {
    this.#first ??= next;
  }

  /** Frames before `next` are not wanted any more. */
  pass(next: number): void {
    if (this.#first === undefined || next <= this.#first) return;
    for (const { slab } of this.#frames.splice(0, next - this.#first)) slab?.release();
    this.#first = next;
  }

  /** Whether what comes is kept. */
  get isKeeping(): boolean {
    return this.#first !== undefined;
  }

  /** Takes note of the next frame. The slab is retained, if there is room for it. */
  put(frame: Frame, slab: Slab | undefined): void {
    if (this.#first === undefined) return;
    const kept = this.#kept(frame, slab);
    if (kept === undefined || this.#frames.length >= mostFrames) this.drop();
    else this.#frames.push(kept);
  }

  #kept(frame: Frame, slab: Slab | undefined): TailFrame | undefined {
    if (slab === undefined || !('start' in frame) || frame.end === frame.start)
      return { frame, slab: undefined };
    if (frame.kind === 'data') {
      const share = this.#shareOf(slab);
      return share && { frame, slab: share };
    }
    // Metadata is short, and control connections have few slabs.
    const bytes = Buffer.from(slab.bytes.subarray(frame.start, frame.end));
    const share = this.#shareOf(looseSlab(bytes));
    return share && { frame: { ...frame, start: 0, end: bytes.length }, slab: share };
  }

  /** One more hold on a slab, which is counted until the last one of them is gone; undefined: there is no room. */
  #shareOf(slab: Slab): Slab | undefined {
    const last = this.#last;
    if (last?.slab === slab && last.share.owners > 0) return last.share.retain();
    const budgets = this.#budgets;
    if (budgets.some(({ held, most }) => held >= most)) return undefined;
    for (const budget of budgets) budget.held += 1;
    this.#held += 1;
    slab.retain();
    const share = new Slab(slab.bytes, () => {
      for (const budget of budgets) budget.held -= 1;
      this.#held -= 1;
      slab.release();
      this.#roomMade();
    });
    this.#last = { slab, share };
    return share.retain();
  }

  /**
   * Resolves when there is room for more, or after a moment: nobody is held up for longer than a link takes that is about
   * as fast as memory.
   */
  async room(): Promise<void> {
    if (this.#first === undefined || this.#held === 0) return;
    if (this.#budgets.every(({ held, most }) => held + fewSlabs < most)) return;
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        clearTimeout(moment);
        this.#waiting.delete(goOn);
        resolve();
      };
      const moment = setTimeout(goOn, momentMs);
      this.#waiting.add(goOn);
    });
  }

  #roomMade(): void {
    for (const goOn of this.#waiting) goOn();
  }

  /** Whether frame `from` is here. */
  has(from: number): boolean {
    return this.#first !== undefined && from >= this.#first && from < this.#first + this.#frames.length;
  }

  /**
   * Gives frames from `from` on, as many as lie in one slab, which is the taker's; they, and those before them, are
   * kept no longer. undefined: frame `from` is not here.
   */
  take(from: number): FrameBatch | undefined {
    if (!this.has(from)) return undefined;
    this.pass(from);
    let slab: Slab | undefined;
    let end = 0;
    for (; end < this.#frames.length && end < mostTogether; end += 1) {
      const own = (this.#frames[end] as TailFrame).slab;
      if (own !== undefined && slab !== undefined && own !== slab) break;
      slab ??= own;
    }
    slab?.retain();
    const frames = this.#frames.slice(0, end).map(({ frame }) => frame);
    this.pass(from + end);
    return { slab, frames };
  }

  /** Keeps nothing, until the next `begin`. */
  drop(): void {
    this.#first = undefined;
    for (const { slab } of this.#frames.splice(0)) slab?.release();
    this.#roomMade();
  }
}
