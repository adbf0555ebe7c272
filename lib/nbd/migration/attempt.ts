/**
 * One attempt to bring the disk to its destination, from the first byte sent to the last one acknowledged: passes over
 * what is dirty while clients write, then the final one without them. Connecting, handing over and trying again are
 * `mirror.ts`'s.
 */
import { DirtyMap } from '../../disk/dirty-map.ts';
import { Copier } from './copier.ts';
import type { Destination } from './destination.ts';
import { afterPass, type PauseBounds, type RateLimit, SpeedWindow, stuckPasses } from './pace.ts';
import type { MirroredImage } from './source.ts';
import { Throttle } from './throttle.ts';

/** What is known of a disk on its way; it outlives an attempt where the next one may go on with it. */
export interface Transfer {
  /** Written since it was sent, or never sent. */
  dirty: DirtyMap;
  /** Up to where the first pass has come, bytes. */
  front: number;
  /** Sent and not yet compared. */
  unverified: DirtyMap;
  /** 1 is the first copy. */
  pass: number;
  sentBytes: number;
}

export function newTransfer(sizeBytes: number): Transfer {
  const dirty = new DirtyMap(sizeBytes);
  dirty.markAll();
  return { dirty, front: 0, unverified: new DirtyMap(sizeBytes), pass: 1, sentBytes: 0 };
}

/** What an attempt needs. */
export interface AttemptOptions {
  image: MirroredImage;
  links: readonly Destination[];
  transfer: Transfer;
  limit: RateLimit;
  pause: PauseBounds;
  /** Changed behind the first copy: more than that is sent first. */
  changedBytes: number;
  /** Compare by hash; on a millrace listener only. */
  verify: boolean;
  signal: AbortSignal;
  /** A pass has ended. `verdict` as in `afterPass`. */
  onPass(pass: { pass: number; dirtyBytes: number; verdict: string; seconds: number }): void;
}

/** What clients may change for each byte sent, at least, during the first copy: it may take hours. */
const leastCopyShare = 1 / 4;

/** See the file's head. */
export class Attempt {
  readonly #options: AttemptOptions;
  readonly #copier: Copier;
  readonly #throttle: Throttle;
  readonly speed = new SpeedWindow(performance.now());

  constructor(options: AttemptOptions) {
    this.#options = options;
    const { image, links, transfer, limit, signal } = options;
    this.#throttle = new Throttle(image);
    const sent = (bytes: number): void => {
      transfer.sentBytes += bytes;
      this.#throttle.sent(bytes);
      this.speed.add(bytes, performance.now());
    };
    const hashes = options.verify && links.every(({ hello }) => hello.peer !== undefined);
    this.#copier = new Copier(
      { image, dirty: transfer.dirty, links, limit, sent, signal },
      hashes ? transfer.unverified : undefined,
    );
  }

  get totals(): Copier['totals'] {
    return this.#copier.totals;
  }

  /** A client has made so many bytes dirty that were clean. */
  changed(bytes: number): void {
    this.#throttle.changed(bytes);
  }

  /** Passes until the final one would be short enough. */
  async converge(): Promise<void> {
    try {
      await this.#passes();
    } finally {
      this.#throttle.release();
    }
  }

  async #passes(): Promise<void> {
    const { transfer, pause } = this.#options;
    const { dirty } = transfer;
    let stuck = 0;
    let leastBytes = dirty.dirtyBytes;
    let bytesPerSecond = 0;
    for (let passes = 1, holds = 0; ; passes += 1) {
      const startMs = performance.now();
      const sentBefore = transfer.sentBytes;
      if (transfer.front < dirty.sizeBytes) await this.#copyAll();
      else await this.#sweepChanged();
      await this.#copier.flush();
      await this.#copier.verify();
      const now = performance.now();
      const dirtyBytes = dirty.dirtyBytes;
      stuck = stuckPasses(stuck, dirtyBytes, leastBytes);
      leastBytes = Math.min(leastBytes, dirtyBytes);
      const passBytes = transfer.sentBytes - sentBefore;
      // what the pass took with all that belongs to it: the final one has the same to do
      if (passBytes > 0) bytesPerSecond = (passBytes * 1000) / (now - startMs);
      const verdict = afterPass({ dirtyBytes, bytesPerSecond, stuckPasses: stuck, passes, holds }, pause);
      this.#options.onPass({ pass: transfer.pass, dirtyBytes, verdict, seconds: (now - startMs) / 1000 });
      if (verdict === 'final') return;
      transfer.pass += 1;
      if (verdict !== 'hold') continue;
      holds += 1;
      this.#throttle.tighten();
    }
  }

  /** Sends what is left, with no client to write any more; everything is there, durable and compared, when it resolves. */
  async finish(): Promise<void> {
    const { dirty } = this.#options.transfer;
    do {
      await this.#sweepChanged();
      await this.#copier.flush();
      await this.#copier.verify();
    } while (!dirty.isClean);
  }

  /**
   * The first copy. Where clients change more behind it than `changedBytes`, that is sent first, and the limit does not
   * count it: or a disk that changes fast would never be copied to its end (nbd-migration D.4, L19). Where that is not
   * enough they are held back, under a limit only until most is sent: it is not the link that is slow then.
   */
  async #copyAll(): Promise<void> {
    const { transfer, changedBytes: most, limit } = this.#options;
    const { sizeBytes } = transfer.dirty;
    const changedBytes = (): number => transfer.dirty.dirtyBytes - (sizeBytes - transfer.front);
    const isTooMuch = (at: number): boolean => {
      transfer.front = at;
      return changedBytes() > most;
    };
    while (transfer.front < sizeBytes) {
      transfer.front = await this.#copier.sweep(transfer.front, sizeBytes, true, isTooMuch);
      for (let sweeps = 0; transfer.front < sizeBytes && changedBytes() > most / 2; sweeps += 1) {
        if (sweeps > 0) this.#throttle.tighten(leastCopyShare);
        await this.#copier.sweep(0, transfer.front, false);
      }
      if (limit.bytesPerSecond !== undefined) this.#throttle.release();
    }
  }

  async #sweepChanged(): Promise<void> {
    await this.#copier.sweep(0, this.#options.transfer.dirty.sizeBytes, false);
  }
}
