/**
 * Holds the clients of a disk back while it is migrated, where they change it faster than the link carries. It counts in
 * bytes, not in time: for every byte that the destination acknowledges they may make a share of one dirty, half at first.
 * So a pass leaves at most that share of what the one before it left, whatever the link and the clients do, and a few
 * passes always come to an end. Only writers wait, one at a time for no longer than the next acknowledgement, a FLUSH
 * and a comparison take. Source: nbd-migration, D.4 (a full queue makes writes wait), L19.
 */
import type { MirroredImage } from './source.ts';

/** See the file's head. Holds nobody back at first. */
export class Throttle {
  readonly #image: Pick<MirroredImage, 'hold'>;
  /** Of each byte sent; what the next `tighten` halves. */
  #share = 1;
  #isOn = false;
  /** What may still be changed. Below 0: writes that were under way when it was used up. */
  #allowedBytes = 0;
  /** Set while they are held. */
  #letGo: (() => void) | undefined;

  constructor(image: Pick<MirroredImage, 'hold'>) {
    this.#image = image;
  }

  /** Holds the clients back from now on, to half the share of the last time, but not to less than `leastShare`. */
  tighten(leastShare = 0): void {
    this.#share = Math.max(this.#share / 2, Math.min(this.#share, leastShare));
    this.#isOn = true;
    this.#look();
  }

  /** Lets them write as they like. */
  release(): void {
    this.#isOn = false;
    this.#allowedBytes = 0;
    this.#look();
  }

  /** So many bytes were acknowledged. */
  sent(bytes: number): void {
    if (!this.#isOn) return;
    this.#allowedBytes += bytes * this.#share;
    this.#look();
  }

  /** A client has made so many bytes dirty that were clean. */
  changed(bytes: number): void {
    if (!this.#isOn) return;
    this.#allowedBytes -= bytes;
    this.#look();
  }

  #look(): void {
    if (this.#isOn && this.#allowedBytes <= 0) this.#letGo ??= this.#image.hold();
    else {
      this.#letGo?.();
      this.#letGo = undefined;
    }
  }
}
