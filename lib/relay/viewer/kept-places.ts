/**
 * Places of millrace viewers that lost their connection, until they come back for them or the time is over. A place goes
 * on being told of new streams, so that nothing of a program that comes and goes meanwhile is missed. It holds files
 * that others have deleted, as that of a slow viewer does; so there are not more of them than of viewers, and the oldest
 * go first.
 */
import type { ViewedSession } from './viewed-session.ts';

interface Kept {
  viewed: ViewedSession;
  /** Whose it was. */
  peer: string;
  untilMs: number;
}

const keyOf = (key: bigint, session: number) => `${key}/${session}`;

/** See the file's head. */
export class KeptPlaces {
  readonly #most: number;
  readonly #dropped: (viewed: ViewedSession, peer: string) => void;
  readonly #clock: () => number;
  /** The oldest first. */
  readonly #kept = new Map<string, Kept>();

  /** `dropped`: nobody came back for it. `clock`: milliseconds, injectable for tests. */
  constructor(
    most: number,
    dropped: (viewed: ViewedSession, peer: string) => void,
    clock: () => number = () => performance.now(),
  ) {
    this.#most = most;
    this.#dropped = dropped;
    this.#clock = clock;
  }

  /** Streams of all of them. */
  get streams(): number {
    let streams = 0;
    for (const { viewed } of this.#kept.values()) streams += viewed.size;
    return streams;
  }

  /** Keeps a place whose viewer is gone, as long as that wished. */
  add(viewed: ViewedSession, peer: string): void {
    const { keep, live } = viewed;
    if (keep === undefined) return;
    const key = keyOf(keep.key, live.id);
    this.#drop(key);
    viewed.handTo(undefined);
    this.#kept.set(key, { viewed, peer, untilMs: this.#clock() + keep.ms });
    if (this.#kept.size > this.#most) this.dropOldest();
  }

  /** Gives a place back. */
  take(key: bigint, session: number): ViewedSession | undefined {
    const kept = this.#kept.get(keyOf(key, session));
    this.#kept.delete(keyOf(key, session));
    return kept?.viewed;
  }

  /** Returns whether there was one. */
  dropOldest(): boolean {
    for (const key of this.#kept.keys()) {
      this.#drop(key);
      return true;
    }
    return false;
  }

  /** Drops those that nobody came back for in time. */
  sweep(): void {
    const nowMs = this.#clock();
    for (const [key, { untilMs }] of this.#kept) if (untilMs <= nowMs) this.#drop(key);
  }

  /** Drops all. */
  clear(): void {
    for (const key of this.#kept.keys()) this.#drop(key);
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    if (kept !== undefined) this.#dropped(kept.viewed, kept.peer);
  }
}
