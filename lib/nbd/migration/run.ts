/**
 * One migration from its start to its end, over all its attempts: what was asked for, the connections of the attempt that is
 * under way, and what is known of the disk at the other side. Which step comes next is `mirror.ts`'s.
 */
import { randomInt } from 'node:crypto';
import { MillraceError } from '../../errors.ts';
import { addressText } from '../../network/address.ts';
import { type Attempt, newTransfer, type Transfer } from './attempt.ts';
import { Destination } from './destination.ts';
import type { MirrorOptions } from './options.ts';
import { RateLimit } from './pace.ts';
import type { MirrorFigures } from './progress.ts';
import type { MirroredImage } from './source.ts';
import type { MirrorState } from './states.ts';

/** See the file's head. */
export class MigrationRun {
  readonly options: MirrorOptions;
  readonly abort = new AbortController();
  readonly limit: RateLimit;
  readonly #image: MirroredImage;
  readonly #startedMs = performance.now();
  /** Names it to a millrace listener: not 0, below 2^48. */
  readonly #id = randomInt(1, 2 ** 48 - 1);
  #forget: () => void = () => undefined;
  attempts = 0;
  transfer: Transfer | undefined;
  attempt: Attempt | undefined;
  links: Destination[] = [];
  /** When the clients were shut out, by the monotonic clock. */
  shutMs = 0;
  /** Resolves when it is over and nothing of it is left. */
  ended: Promise<void> = Promise.resolve();

  constructor(options: MirrorOptions, image: MirroredImage) {
    this.options = options;
    this.#image = image;
    this.limit = new RateLimit(options.maxBytesPerSecond, this.#startedMs);
  }

  get destination(): string {
    return addressText(this.options.address);
  }

  /**
   * D.3: connects, reads the hello, compares the sizes, joins where that is known. What an earlier attempt knows is kept only
   * if the other side is a millrace that nobody else has written to. Errors: those of `Destination.open` and
   * MR_ERR_NBD_MIRROR_SIZE; connections made so far are closed by `close`.
   */
  async connect(): Promise<Destination> {
    const { options } = this;
    const { signal } = this.abort;
    this.attempts += 1;
    const open = async (): Promise<Destination> => {
      const link = await Destination.open(options.address, { ...options, signal });
      this.links.push(link);
      return link;
    };
    const first = await open();
    const { peer, sizeBytes } = first.hello;
    this.mustBe(sizeBytes, this.#image.sizeBytes);
    if (peer?.owner !== this.#id) this.forget();
    if (peer === undefined) return first;
    await first.join(this.#id, this.attempts);
    const more = Math.min(options.connections ?? peer.connections, peer.connections) - 1;
    for (let n = 0; n < more; n += 1) await (await open()).join(this.#id, this.attempts);
    return first;
  }

  /** Begins to take down what clients change, unless an earlier attempt did and that holds. */
  watch(): Transfer {
    if (this.transfer !== undefined) return this.transfer;
    const transfer = newTransfer(this.#image.sizeBytes);
    const { sizeBytes } = transfer.dirty;
    // a disk that has grown is found out before the hand-over
    this.#forget = this.#image.onWrite((offset, length) => {
      if (offset >= sizeBytes) return;
      this.attempt?.changed(transfer.dirty.mark(offset, Math.min(length, sizeBytes - offset)));
    });
    this.transfer = transfer;
    return transfer;
  }

  /** Throws MR_ERR_NBD_MIRROR_SIZE. */
  mustBe(got: number, expected: number): void {
    if (got === expected) return;
    throw new MillraceError('MR_ERR_NBD_MIRROR_SIZE', { address: this.destination, got, expected });
  }

  /** What an earlier attempt knows does not hold any more: the next one begins from zero. */
  forget(): void {
    this.#forget();
    this.#forget = () => undefined;
    this.transfer = undefined;
  }

  close(): void {
    for (const link of this.links.splice(0)) link.destroy();
  }

  figures(state: MirrorState): MirrorFigures {
    const { transfer, attempt, limit } = this;
    const { sizeBytes } = this.#image;
    const now = performance.now();
    const leftBytes = transfer?.dirty.dirtyBytes ?? sizeBytes;
    const bytesPerSecond = attempt?.speed.bytesPerSecond(now) ?? 0;
    return {
      state,
      destination: this.destination,
      sizeBytes,
      leftBytes,
      sentBytes: transfer?.sentBytes ?? 0,
      pass: transfer?.pass ?? 0,
      attempt: this.attempts,
      bytesPerSecond,
      secondsLeft: leftBytes === 0 ? 0 : leftBytes / bytesPerSecond,
      durationMs: now - this.#startedMs,
      limitBytesPerSecond: limit.bytesPerSecond,
      holeBytes: attempt?.totals.holeBytes ?? 0,
      verifiedBytes: attempt?.totals.verifiedBytes ?? 0,
    };
  }
}
