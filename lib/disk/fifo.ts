/** A queue whose front is dropped in constant time, however many wait behind it. */
export class Fifo<T> implements Iterable<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes items from the front as long as `wanted` says so, at most `most`. */
  takeWhile(wanted: (item: T) => boolean, most: number = this.size): T[] {
    const from = this.#head;
    const end = from + Math.min(most, this.size);
    let at = from;
    while (at < end && wanted(this.#items[at] as T)) at += 1;
    const taken = this.#items.slice(from, at);
    this.#head = at;
    // Dropped items are let go when they are as many as those that stay, so each is moved once at the most.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#head; at < this.#items.length; at += 1) yield this.#items[at] as T;
  }
}
