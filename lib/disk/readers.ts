/** Those who read what a writer stores, from within the relay: the writer tells them when something has happened. */
export class Readers {
  /** Nothing more will come. */
  ended = false;
  /** What was to come could not be written. */
  failed = false;
  readonly #watchers = new Set<() => void>();

  /** Calls `told` after everything that readers may want to know, until what it returns is called. */
  watch(told: () => void): () => void {
    this.#watchers.add(told);
    return () => this.#watchers.delete(told);
  }

  /** Something happened that concerns readers. */
  changed(): void {
    for (const told of this.#watchers) told();
  }

  /** The stream is closed. */
  end(): void {
    this.ended = true;
    this.changed();
  }
}
