/**
 * When answers without news are given. Some viewers ask again at once, a hundred thousand times a second, others wait
 * a tenth of a second in between and learn of news that much later. So the first such answer about a thing is given
 * at once, and the same again only when there is news, or after a while. Source: live-protocol, "Checklists" 13;
 * viewers have no time-outs, but ask about one stream after the other, so news about another thing counts as well.
 *
 * A viewer that has read everything is told of the next packet without having asked twice: see `linger`.
 */
/** What is asked about: what was last said of it. */
export interface Topic {
  /** When it was last answered without news; 0: never. */
  idleAtMs: number;
  /** Whether something happened to it since. */
  news: boolean;
  /** The connection's count of news at that time. */
  seen: number;
}

/** A topic of which nothing was said. */
export const newTopic = (): Topic => ({ idleAtMs: 0, news: false, seen: 0 });

/** See the file's head. One for each viewer. */
export class IdlePace {
  #news = 0;
  #waiting: { topic: Topic; wake: () => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #clock: () => number;

  readonly #holdMs: number;
  readonly #lingerMs: number;

  /**
   * `holdMs`: how long an answer is held back at most, `lingerMs`: a first one. `clock`: milliseconds, injectable for
   * tests.
   */
  constructor(holdMs: number, lingerMs: number, clock: () => number = () => performance.now()) {
    this.#holdMs = holdMs;
    this.#lingerMs = Math.min(lingerMs, holdMs);
    this.#clock = clock;
  }

  /** Milliseconds that an answer without news has to wait. */
  delayMs(topic: Topic): number {
    if (topic.idleAtMs === 0 || topic.news) return 0;
    const since = this.#clock() - topic.idleAtMs;
    return Math.max(0, (topic.seen === this.#news ? this.#holdMs : this.#holdMs / 10) - since);
  }

  /** Nothing else is left to be read: the first answer without news may wait as well, a little. */
  linger(topic: Topic): void {
    if (topic.idleAtMs !== 0 || topic.news) return;
    topic.idleAtMs = this.#clock() - this.#holdMs + this.#lingerMs;
    topic.seen = this.#news;
  }

  /** An answer was given, with news or without. */
  answered(topic: Topic, idle: boolean): void {
    topic.idleAtMs = idle ? this.#clock() : 0;
    topic.seen = this.#news;
    topic.news = false;
  }

  /** Something happened to `topic`, or to everything. */
  news(topic: Topic | undefined): void {
    this.#news += 1;
    if (topic !== undefined) topic.news = true;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    if (topic === undefined || topic === waiting.topic) {
      waiting.topic.news = true;
      this.cancel();
    } else this.#rearm(waiting.topic);
  }

  /** Resolves when it is worth asking again, or the time is over. */
  wait(topic: Topic): Promise<void> {
    return new Promise((wake) => {
      this.#waiting = { topic, wake };
      this.#rearm(topic);
    });
  }

  #rearm(topic: Topic): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.cancel(), this.delayMs(topic));
  }

  /** Ends the wait. */
  cancel(): void {
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.wake();
  }
}
