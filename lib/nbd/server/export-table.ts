/** Which disks a server offers, by name. */
import type { Export } from '../export.ts';

/**
 * The exports of a server. One may be withheld for a while, its clients told that the server goes down, and dropped for ever:
 * its disk has gone elsewhere. The default export stays what it was at first: with another one in its place clients
 * that come back would find another disk.
 */
export class ExportTable {
  readonly #all: Export[];
  readonly #default: Export | undefined;
  readonly #withheld = new Set<Export>();

  constructor(all: readonly Export[]) {
    this.#all = [...all];
    this.#default = all.find(({ name }) => name === '') ?? all[0];
  }

  /** Those that are withheld, too. */
  get all(): readonly Export[] {
    return this.#all;
  }

  get offered(): readonly Export[] {
    return this.#all.filter((each) => !this.#withheld.has(each));
  }

  /** One that is offered; the empty name is the default. */
  find(name: string): Export | undefined {
    const found = this.#find(name);
    return found !== undefined && this.offers(found) ? found : undefined;
  }

  offers(served: Export): boolean {
    return this.#all.includes(served) && !this.#withheld.has(served);
  }

  isWithheld(name: string): boolean {
    const found = this.#find(name);
    return found !== undefined && this.#withheld.has(found);
  }

  withhold(served: Export): void {
    this.#withheld.add(served);
  }

  offer(served: Export): void {
    this.#withheld.delete(served);
  }

  drop(served: Export): void {
    const at = this.#all.indexOf(served);
    if (at >= 0) this.#all.splice(at, 1);
    this.#withheld.delete(served);
  }

  #find(name: string): Export | undefined {
    return this.#all.find((each) => each.name === name || (name === '' && each === this.#default));
  }
}
