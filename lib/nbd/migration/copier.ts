/**
 * Sends what is dirty: sweeps over the dirty map, with several requests in flight, over one connection or more. A block
 * is clean from the moment before it is read, so whatever is written to it later makes it dirty again; a request that
 * fails makes its run dirty again. Within a sweep the place moves on only, and a sweep ends when everything it sent is
 * acknowledged: no block is in flight twice, so no older write of it can arrive behind a newer one.
 *
 * Memory: one buffer a request in flight, taken once.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DirtyMap, Run } from '../../disk/dirty-map.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { tell } from '../../telemetry.ts';
import { nbdErrors } from '../../wire/nbd/index.ts';
import type { Destination } from './destination.ts';
import { takeHole } from './holes.ts';
import type { RateLimit } from './pace.ts';
import type { MirroredImage } from './source.ts';

/** How often a range may be found different before the attempt is given up. */
const verifyTimes = 3;

/** What a copier works on. */
export interface CopierOptions {
  image: MirroredImage;
  dirty: DirtyMap;
  links: readonly Destination[];
  limit: RateLimit;
  /** Bytes were acknowledged. */
  sent(bytes: number): void;
  /** Aborts everything. */
  signal: AbortSignal;
  /** One WRITE at the most, a multiple of the map's block size. */
  requestBytes?: number;
  /** WRITEs in flight on one connection. */
  inFlight?: number;
}

/** See the file's head. */
export class Copier {
  readonly #options: CopierOptions;
  readonly #requestBytes: number;
  /** One for each request that may be in flight; those not in use. */
  readonly #slots: Array<{ link: Destination; bytes: Buffer }>;
  readonly #slotCount: number;
  #free: (() => void) | undefined;
  #failure: unknown;
  /** What the destination offers has not turned out to be wrong: nbdkit 1.32 offers both in oldstyle and refuses them. */
  #makesHoles = true;
  #flushes = true;
  /** Sent, and not yet compared with what the destination holds; undefined: it cannot say. */
  readonly #unverified: DirtyMap | undefined;
  readonly #mismatches = new Map<number, number>();
  /** Requests sent for data and for holes, bytes of holes. */
  readonly totals = { writes: 0, writtenBytes: 0, holes: 0, holeBytes: 0, verifiedBytes: 0, mismatches: 0 };

  /** `unverified`: where to take down what must be compared by hash, on destinations that can. */
  constructor(options: CopierOptions, unverified?: DirtyMap) {
    this.#options = options;
    this.#unverified = unverified;
    const {
      inFlight = limits.mirrorInFlight,
      requestBytes = limits.mirrorRequestBytes,
      dirty,
      links,
    } = options;
    this.#requestBytes = Math.max(requestBytes, dirty.blockBytes);
    this.#slots = Array.from({ length: inFlight }, () => links)
      .flat()
      .map((link) => ({ link, bytes: Buffer.allocUnsafeSlow(this.#requestBytes) }));
    this.#slotCount = this.#slots.length;
  }

  /**
   * Sends what is dirty in `[from, to)`, once, in ascending order. `copied`: as the first copy, within the limit.
   * `enough`: asked before each request, with the place that the sweep has come to; true ends it there. Resolves, when all is acknowledged, with the place
   * that it came to: `to`, or where it was enough. Rejects with what went wrong; everything is dirty then that may not
   * have arrived.
   */
  async sweep(
    from: number,
    to: number,
    copied: boolean,
    enough: (at: number) => boolean = () => false,
  ): Promise<number> {
    const { dirty, signal } = this.#options;
    let at = from;
    this.#failure = undefined;
    try {
      while (at < to && this.#failure === undefined) {
        await this.#pause(copied, () => enough(at));
        await this.#slotFree();
        signal.throwIfAborted();
        if (enough(at) || this.#failure !== undefined) break;
        const run = dirty.take(at, this.#requestBytes);
        if (run === undefined || run.offset >= to) {
          if (run !== undefined) dirty.mark(run.offset, run.lengthBytes);
          at = to;
          break;
        }
        at = run.offset + (await this.#begin(run, copied));
      }
    } finally {
      await this.#idle();
    }
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    return at;
  }

  /** Makes durable there what was sent, where it offers that. */
  async flush(): Promise<void> {
    const { links } = this.#options;
    // one covers all connections of a millrace listener, and there is one connection to everybody else
    const [link] = links;
    if (!this.#flushes || link?.has('sendFlush') !== true) return;
    try {
      await link.flush();
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      this.#flushes = false;
      tell('warn', 'nbd:mirror-no-flush', `${link.address} cannot be told to make the disk durable`);
    }
  }

  /**
   * Compares by hash what was sent and not yet compared. What differs is dirty again, unless a client has written there
   * meanwhile: then it is dirty anyway. Rejects with MR_ERR_NBD_MIRROR_VERIFY when sending it again does not help.
   */
  async verify(): Promise<void> {
    const unverified = this.#unverified;
    if (unverified === undefined) return;
    this.#failure = undefined;
    try {
      let at = 0;
      while (this.#failure === undefined) {
        await this.#slotFree();
        this.#options.signal.throwIfAborted();
        const run = unverified.take(at, this.#requestBytes);
        if (run === undefined) break;
        at = run.offset + run.lengthBytes;
        this.#use(run, (link, bytes) => this.#compare(run, link, bytes));
      }
    } finally {
      await this.#idle();
    }
    this.#options.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Sends a run that is clean since now, or the hole that begins there; resolves with the bytes it covers. */
  async #begin(run: Run, copied: boolean): Promise<number> {
    const { image, dirty, links } = this.#options;
    const canZero = this.#makesHoles && links[0]?.has('sendWriteZeroes') === true;
    const hole = canZero ? await takeHole(image, dirty, run) : undefined;
    if (hole !== undefined) {
      this.#use(hole, async (link) => {
        try {
          await link.zero(hole.offset, hole.lengthBytes);
        } catch (error) {
          if (!isUnsupported(error)) throw error;
          if (this.#makesHoles)
            tell('info', 'nbd:mirror-no-holes', `${link.address} makes no holes after all`);
          this.#makesHoles = false;
          this.#options.dirty.mark(hole.offset, hole.lengthBytes);
          return;
        }
        this.totals.holes += 1;
        this.totals.holeBytes += hole.lengthBytes;
        this.#options.sent(hole.lengthBytes);
      });
      return hole.lengthBytes;
    }
    if (copied) this.#options.limit.sent(run.lengthBytes, performance.now());
    this.#use(run, async (link, bytes) => {
      await this.#options.image.read(bytes, 0, run.lengthBytes, run.offset);
      await link.write(run.offset, bytes.subarray(0, run.lengthBytes));
      this.totals.writes += 1;
      this.totals.writtenBytes += run.lengthBytes;
      this.#options.sent(run.lengthBytes);
    });
    return run.lengthBytes;
  }

  /** Runs `work` in a free slot, which there is. Its failure is the sweep's, and makes the run dirty again. */
  #use({ offset, lengthBytes }: Run, work: (link: Destination, bytes: Buffer) => Promise<void>): void {
    const slot = this.#slots.pop() as { link: Destination; bytes: Buffer };
    this.#unverified?.mark(offset, lengthBytes);
    void work(slot.link, slot.bytes)
      .catch((error: unknown) => {
        this.#options.dirty.mark(offset, lengthBytes);
        this.#failure ??= error;
      })
      .finally(() => {
        this.#slots.push(slot);
        this.#free?.();
      });
  }

  async #compare({ offset, lengthBytes }: Run, link: Destination, bytes: Buffer): Promise<void> {
    const { image, dirty } = this.#options;
    const there = link.hash(offset, lengthBytes);
    // it may fail while nobody waits for it yet
    there.catch(() => undefined);
    await image.read(bytes, 0, lengthBytes, offset);
    const here = createHash('sha256').update(bytes.subarray(0, lengthBytes)).digest();
    const same = here.equals(await there);
    const written = dirty.next(offset, dirty.blockBytes);
    if (same) {
      this.#unverified?.clean(offset, lengthBytes);
      this.totals.verifiedBytes += lengthBytes;
      return;
    }
    // a client may write at any time: what is dirty is sent again, and all of this is compared then
    if (written !== undefined && written.offset < offset + lengthBytes) return;
    const times = (this.#mismatches.get(offset) ?? 0) + 1;
    this.#mismatches.set(offset, times);
    this.totals.mismatches += 1;
    const facts = { address: link.address, offset, times };
    tell('warn', 'nbd:mirror-differs', `${link.address} differs at ${offset}, it is sent again`, facts);
    if (times >= verifyTimes) throw new MillraceError('MR_ERR_NBD_MIRROR_VERIFY', facts);
    dirty.mark(offset, lengthBytes);
  }

  /** Keeps to the limit, unless it is enough. */
  async #pause(copied: boolean, enough: () => boolean): Promise<void> {
    const { limit, signal } = this.#options;
    if (!copied) return;
    for (;;) {
      const waitMs = limit.waitMs(performance.now());
      if (waitMs <= 0 || enough() || this.#failure !== undefined) return;
      // not all at once: the limit may be changed meanwhile
      await delay(Math.min(waitMs, 100), undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async #slotFree(): Promise<void> {
    while (this.#slots.length === 0) await this.#nextFree();
  }

  async #idle(): Promise<void> {
    while (this.#slots.length < this.#slotCount) await this.#nextFree();
  }

  #nextFree(): Promise<void> {
    return new Promise((resolve) => {
      this.#free = resolve;
    });
  }
}

/** A request that is not known there, which is not one that has failed. */
function isUnsupported(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false;
  const { refusal } = error.facts;
  return refusal === nbdErrors.EINVAL || refusal === nbdErrors.ENOTSUP;
}
