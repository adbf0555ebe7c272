/**
 * Puts the messages of all streams into one order: by time, and where times are equal by what ctf, "Merge order",
 * says. A stream that has no message at hand holds back everything that could come after it.
 */
import type { EventClass } from '../ctf/trace-class.ts';
import { messageKinds, type StreamMessages } from './messages.ts';
import type { Moment } from './moment.ts';

/** A stream with its place among others: equal where the rules know no difference. `path` decides in the end. */
export interface Ranked {
  messages: StreamMessages;
  rank: number;
  pathRank: number;
}

/** A heap of the streams that have a message at hand. */
export class Merge<S extends Ranked> {
  readonly #heap: S[] = [];

  /** The stream whose message comes first. */
  get first(): S | undefined {
    const heap = this.#heap;
    // Looking beyond the end would have the loop compiled anew at the end of each part.
    return heap.length === 0 ? undefined : heap[0];
  }

  /** All streams that have a message at hand. */
  all(): readonly S[] {
    return this.#heap;
  }

  add(stream: S): void {
    const heap = this.#heap;
    let at = heap.push(stream) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (compare(heap[parent] as S, stream) <= 0) break;
      heap[at] = heap[parent] as S;
      at = parent;
    }
    heap[at] = stream;
  }

  /** Takes the first stream out. */
  removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as S;
    if (heap.length > 0) {
      heap[0] = last;
      this.settle();
    }
  }

  /** Puts the first stream, whose message is another now, into its place. */
  settle(): void {
    const heap = this.#heap;
    const stream = heap[0] as S;
    const { length } = heap;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && compare(heap[child + 1] as S, heap[child] as S) < 0) child += 1;
      if (compare(stream, heap[child] as S) <= 0) break;
      heap[at] = heap[child] as S;
      at = child;
    }
    heap[at] = stream;
  }
}

function compare(a: Ranked, b: Ranked): number {
  const x = a.messages;
  const y = b.messages;
  // One sum: a way that is gone only where a second ends would have this compiled anew at the first one.
  const time = (x.seconds - y.seconds) * 1e9 + (x.nanos - y.nanos);
  return time || a.rank - b.rank || x.kind - y.kind || compareEqual(a, b);
}

function compareEqual(a: Ranked, b: Ranked): number {
  const x = a.messages;
  const y = b.messages;
  const events = x.kind === messageKinds.event && x.event !== undefined && y.event !== undefined;
  return (
    (events && compareEvents(x.event?.event as EventClass, y.event?.event as EventClass)) ||
    a.pathRank - b.pathRank
  );
}

function compareEvents(a: EventClass, b: EventClass): number {
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  if (a.logLevel !== b.logLevel) return (a.logLevel ?? 99) - (b.logLevel ?? 99);
  if (a.emfUri === b.emfUri) return 0;
  return a.emfUri === undefined || (b.emfUri !== undefined && a.emfUri < b.emfUri) ? -1 : 1;
}

/** Before the first message. */
export const beginning: Moment = { seconds: Number.NEGATIVE_INFINITY, nanos: 0 };
