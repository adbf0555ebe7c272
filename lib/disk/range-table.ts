/**
 * Orders overlapping requests on one image: writers of a range exclude each other and readers of it, readers share.
 * Who comes first is served first among those that overlap, the others go on. Requests that are done within one
 * tick need no entry, only `isFree`.
 */
import assert from 'node:assert';

/** `shared` for those who only look at the bytes. */
export type RangeUse = 'shared' | 'exclusive';

/** A range held; given back once, by who took it. */
export interface RangeLease {
  /** Lets the next ones in. A second release is a bug and throws. */
  release(): void;
}

interface Entry {
  start: number;
  end: number;
  use: RangeUse;
  /** Set while it waits. */
  admit: ((lease: RangeLease) => void) | undefined;
}

/** See the file's head. Ranges are `[start, end)` in bytes. */
export class RangeTable {
  /** Held and waiting, in order of asking. */
  readonly #entries: Entry[] = [];

  /** Ranges held or waited for. */
  get size(): number {
    return this.#entries.length;
  }

  /** Whether nobody holds or waits for what excludes this use. */
  isFree(start: number, end: number, use: RangeUse): boolean {
    return this.#entries.length === 0 || this.#allows(start, end, use, this.#entries.length);
  }

  /** Takes the range at once, or undefined: it is not free. */
  tryTake(start: number, end: number, use: RangeUse): RangeLease | undefined {
    if (!this.isFree(start, end, use)) return undefined;
    const entry: Entry = { start, end, use, admit: undefined };
    this.#entries.push(entry);
    return this.#lease(entry);
  }

  /** Waits for the range. There is no way back: whoever asked must release it. */
  take(start: number, end: number, use: RangeUse): Promise<RangeLease> {
    const lease = this.tryTake(start, end, use);
    if (lease !== undefined) return Promise.resolve(lease);
    return new Promise((admit) => {
      this.#entries.push({ start, end, use, admit });
    });
  }

  /** Whether the first `before` entries leave the range to this use. */
  #allows(start: number, end: number, use: RangeUse, before: number): boolean {
    for (let i = 0; i < before; i += 1) {
      const other = this.#entries[i] as Entry;
      if (other.start < end && start < other.end && (use === 'exclusive' || other.use === 'exclusive'))
        return false;
    }
    return true;
  }

  #lease(entry: Entry): RangeLease {
    return {
      release: () => {
        const at = this.#entries.indexOf(entry);
        assert(at >= 0, 'a range released twice');
        this.#entries.splice(at, 1);
        this.#admit(at);
      },
    };
  }

  /** Only who stood behind the one that went can have become free. */
  #admit(from: number): void {
    for (let i = from; i < this.#entries.length; i += 1) {
      const entry = this.#entries[i] as Entry;
      if (entry.admit === undefined || !this.#allows(entry.start, entry.end, entry.use, i)) continue;
      const { admit } = entry;
      entry.admit = undefined;
      admit(this.#lease(entry));
    }
  }
}
