/**
 * Frames that a stage holds between its input and its output: `Runs` joins those that go out into batches, `Shelf`
 * keeps those that have to wait. Each frame in either has one owner's share of its slab.
 */
import { MillraceError } from '../../errors.ts';
import type { FrameBatch } from '../batch.ts';
import type { Frame } from '../frames.ts';
import type { Slab } from '../slab.ts';

/** Batches in the making: neighbours in the same slab go together, frames without bytes go with anyone. */
export class Runs {
  #runs: FrameBatch[] = [];

  /** Appends a frame; `slab` is borrowed. */
  add(frame: Frame, slab?: Slab): void {
    const run = this.#runs.at(-1);
    if (run !== undefined && (slab === undefined || slab === run.slab)) run.frames.push(frame);
    else if (run !== undefined && run.slab === undefined) {
      run.slab = slab?.retain();
      run.frames.push(frame);
    } else this.#runs.push({ slab: slab?.retain(), frames: [frame] });
  }

  /** Gives the batches away, in order. */
  handOver(push: (batch: FrameBatch) => void): void {
    const runs = this.#runs;
    this.#runs = [];
    for (const run of runs) push(run);
  }

  release(): void {
    this.handOver((run) => run.slab?.release());
  }
}

/** A frame that waits for its turn. */
export interface Held<F extends Frame> {
  frame: F;
  slab: Slab | undefined;
}

/** Counts what waits, in frames and in slabs. Throws MR_ERR_STAGE_ORDER when it would be more than allowed. */
export class Shelf {
  readonly #maxFrames: number;
  readonly #maxSlabs: number;
  #frames = 0;
  #slabs = new Map<Slab, number>();

  constructor(maxFrames: number, maxSlabs: number) {
    this.#maxFrames = maxFrames;
    this.#maxSlabs = maxSlabs;
  }

  /** Retains `slab` until `take`. */
  put<F extends Frame>(frame: F, slab?: Slab): Held<F> {
    const shares = slab === undefined ? 1 : (this.#slabs.get(slab) ?? 0);
    if (this.#frames >= this.#maxFrames) throw full(frame, `${this.#maxFrames} frames`);
    if (shares === 0 && this.#slabs.size >= this.#maxSlabs) throw full(frame, `${this.#maxSlabs} slabs`);
    this.#frames += 1;
    if (slab !== undefined) this.#slabs.set(slab.retain(), shares + 1);
    return { frame, slab };
  }

  /** The frame waits no more; `use` borrows its slab. */
  take<F extends Frame>({ frame, slab }: Held<F>, use: (frame: F, slab: Slab | undefined) => void): void {
    this.#frames -= 1;
    if (slab === undefined) {
      use(frame, slab);
      return;
    }
    const shares = (this.#slabs.get(slab) ?? 1) - 1;
    if (shares === 0) this.#slabs.delete(slab);
    else this.#slabs.set(slab, shares);
    try {
      use(frame, slab);
    } finally {
      slab.release();
    }
  }

  /** Nobody will take what is left. */
  release(): void {
    for (const [slab, shares] of this.#slabs) for (let i = 0; i < shares; i += 1) slab.release();
    this.#slabs.clear();
    this.#frames = 0;
  }
}

function full(frame: Frame, ceiling: string): MillraceError {
  return new MillraceError('MR_ERR_STAGE_ORDER', {
    frame: frame.kind,
    state: 'waiting for what precedes it',
    why: `at most ${ceiling} are held back`,
  });
}
