/** Callers who want the same file durable at about the same time share one call. */

/** `sync`: makes everything durable that was written before it began. */
export class SharedSync {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  /** The one that begins when the running one has ended; whoever asks meanwhile waits for it. */
  #next: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /**
   * Resolves when everything is durable that was written before this call. Once one has failed all fail with its
   * error: the system forgets which pages it could not write, and tells nobody a second time.
   */
  request(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.then(
      () => this.#begin(),
      () => this.request(),
    );
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const run = this.#sync().then(
      () => {
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#running = undefined;
        this.#failure = { error };
        throw error;
      },
    );
    this.#running = run;
    return run;
  }
}
