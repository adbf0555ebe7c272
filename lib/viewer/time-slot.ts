import type { EventTime } from './line-format.ts';
import type { Edges } from './parts.ts';

/**
 * The time of the event that is shown. Formats are given this and nothing else of the kind: an object of another kind has
 * compiled code thrown away. Doubles from the beginning: words of 32 bits become some, and that would do the same.
 */
export class TimeSlot implements EventTime {
  hasClock = true;
  seconds = Number.NaN;
  nanos = Number.NaN;
  clockHigh = Number.NaN;
  clockLow = Number.NaN;

  take({ hasClock, seconds, nanos, clockHigh, clockLow }: EventTime): void {
    this.hasClock = hasClock;
    this.seconds = seconds;
    this.nanos = nanos;
    this.clockHigh = clockHigh;
    this.clockLow = clockLow;
  }
}

/**
 * The times of the events that are shown, of which the first and the last one are remembered. No branches: what is done
 * for the first event of each part alone would have compiled code thrown away at the second part.
 */
export class ShownTimes {
  readonly #first = new TimeSlot();
  readonly #others = new TimeSlot();
  #last = this.#first;
  #isAny = false;
  #firstPrefixBytes = 0;

  /** The next event is the first one. */
  restart(): void {
    this.#isAny = false;
  }

  /** The time of the next event. */
  next(event: EventTime): TimeSlot {
    const first = this.#first;
    const others = this.#others;
    const time = this.#isAny ? others : first;
    time.take(event);
    this.#last = time;
    return time;
  }

  /** Its prefix was written. */
  written(prefixBytes: number): void {
    this.#firstPrefixBytes = this.#isAny ? this.#firstPrefixBytes : prefixBytes;
    this.#isAny = true;
  }

  /** What was shown since the last `restart`. */
  tell(edges: Edges): void {
    if (!this.#isAny) return;
    edges.first ??= copyOf(this.#first);
    edges.firstPrefixBytes = this.#firstPrefixBytes;
    edges.last = copyOf(this.#last);
  }
}

function copyOf({ hasClock, seconds, nanos, clockHigh, clockLow }: EventTime): EventTime {
  return { hasClock, seconds, nanos, clockHigh, clockLow };
}
