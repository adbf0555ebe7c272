/**
 * When to send a sync beacon: at a given rate, and as soon as every stream has moved; none when nothing was sent since
 * the last one. A beacon names, for each stream that has moved, the last packet that may safely be read.
 */
import type { Sync } from './frames.ts';

/** The beacons of one session. */
export class Beacons {
  readonly #session: number;
  readonly #everyMs: number;
  readonly #nowMs: () => number;
  #lastMs: number;
  readonly #streams = new Set<number>();
  readonly #moved = new Map<number, bigint>();

  constructor(session: number, everyMs: number, nowMs: () => number = () => performance.now()) {
    this.#session = session;
    this.#everyMs = everyMs;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  /** A stream that is waited for from now on. */
  open(stream: number): void {
    this.#streams.add(stream);
  }

  /** It is not waited for any more; what it moved before still counts. */
  end(stream: number): void {
    this.#streams.delete(stream);
  }

  /** A stream's packet, data and index, has been sent, and all before it. */
  moved(stream: number, netSeqNum: bigint): void {
    this.#moved.set(stream, netSeqNum);
  }

  /** The beacon that is due now, if one is. `last`: whatever was sent is to be covered. */
  due(last = false): Sync | undefined {
    if (this.#moved.size === 0) return undefined;
    const nowMs = this.#nowMs();
    const everyOne = [...this.#streams].every((stream) => this.#moved.has(stream));
    if (!last && !everyOne && nowMs - this.#lastMs < this.#everyMs) return undefined;
    this.#lastMs = nowMs;
    const safe = [...this.#moved].map(([stream, netSeqNum]) => ({ stream, netSeqNum }));
    this.#moved.clear();
    return { kind: 'sync', session: this.#session, safe };
  }
}
