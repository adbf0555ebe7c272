/**
 * What was taken for a data file and is not handed to it yet: ranges of slabs that are borrowed until they are written,
 * perhaps a hole behind them, and the packets that end there.
 */
import { limits } from '../limits.ts';
import { padding } from './append-file.ts';
import type { Packet } from './packets.ts';

/** What goes out in one write. */
export interface TakenBytes {
  readonly ranges: Buffer[];
  readonly rangeBytes: number;
  readonly holeBytes: number;
  /** Packets that end in it. */
  readonly ending: Packet[];
}

/** See the file's head. */
export class StagedBytes {
  readonly #isHollow: boolean;
  #ranges: Buffer[] = [];
  #rangeBytes = 0;
  /** A hole behind the ranges: the end of a packet. */
  #holeBytes = 0;
  #ending: Packet[] = [];

  /** `isHollow`: a hole takes the place of all bytes. */
  constructor(isHollow: boolean) {
    this.#isHollow = isHollow;
  }

  /** Its length in the file. */
  get length(): number {
    return this.#rangeBytes + this.#holeBytes;
  }

  /** Whether so much is staged that it should be written before more comes. */
  get full(): boolean {
    if (this.#isHollow) return false;
    return this.#ranges.length >= limits.writevRanges || this.#holeBytes > 0;
  }

  push(range: Buffer): void {
    if (this.#isHollow) {
      this.#holeBytes += range.length;
      return;
    }
    this.#ranges.push(range);
    this.#rangeBytes += range.length;
  }

  /** Stages the padding of a packet; after a long one it is `full`. */
  pad(bytes: number): void {
    const { range, holeBytes } = padding(bytes);
    if (range !== undefined) this.push(range);
    this.#holeBytes += holeBytes;
  }

  /** The packet ends with what was staged last. */
  end(packet: Packet): void {
    this.#ending.push(packet);
  }

  /** Hands over everything; undefined: there is nothing. */
  take(): TakenBytes | undefined {
    if (this.length === 0 && this.#ending.length === 0) return undefined;
    const taken = {
      ranges: this.#ranges,
      rangeBytes: this.#rangeBytes,
      holeBytes: this.#holeBytes,
      ending: this.#ending,
    };
    this.#ranges = [];
    this.#rangeBytes = 0;
    this.#holeBytes = 0;
    this.#ending = [];
    return taken;
  }
}
