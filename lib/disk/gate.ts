/** Where those wait that somebody holds up, in order. */

/** Open at first, and closed as long as anybody holds it. */
export class Gate {
  #holders = 0;
  #opened: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  get isOpen(): boolean {
    return this.#holders === 0;
  }

  /** Closes it; returns what ends that, and does nothing the second time. */
  hold(): () => void {
    this.#holders += 1;
    if (this.#holders === 1)
      this.#opened = new Promise((resolve) => {
        this.#open = resolve;
      });
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      if (this.#holders === 0) this.#open();
    };
  }

  /** Resolves when it is open: who came first is the first to know. */
  async passed(): Promise<void> {
    while (!this.isOpen) await this.#opened;
  }
}
