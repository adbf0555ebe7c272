/**
 * One file of a stream as those see it who read it from within the relay: a data file, its index (metadata has none),
 * and how much of them is committed. The files of a stream are a chain in the order of their packets. Whoever still
 * has to read one is a holder: a file whose name goes (a ring overwrites it, its chunk is cleared) stays readable for
 * its holders, and for nobody else.
 */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import { tell } from '../telemetry.ts';
import type { DiskEnvironment } from './append-file.ts';
import { ReadableFile } from './readable-file.ts';

/** See the file's head. */
export class StoredFile {
  readonly data: ReadableFile;
  readonly index: ReadableFile;
  readonly format: IndexFormat | undefined;
  /** Committed records, in the order of the index file. */
  records = 0;
  /** End of what is committed in the data file. */
  committedBytes = 0;
  /** Nothing more will come. */
  finished = false;
  /** The file that follows. */
  next: StoredFile | undefined;
  /** Packets of files between this one and the next that were lost. */
  lostBehind = 0;
  #vanished = false;
  readonly #holders = new Set<object>();

  /** `directory`: of the data file, wherever renames have taken it. */
  constructor(
    directory: () => string,
    name: string,
    format: IndexFormat | undefined,
    env: Pick<DiskEnvironment, 'pool' | 'pace'>,
  ) {
    this.data = new ReadableFile(() => `${directory()}/${name}`, env);
    this.index = new ReadableFile(() => `${directory()}/index/${name}.idx`, env);
    this.format = format;
  }

  /** Its name is gone. */
  get vanished(): boolean {
    return this.#vanished;
  }

  /** Whether `owner` may read it. */
  isOpenTo(owner: object): boolean {
    return !this.#vanished || this.#holders.has(owner);
  }

  /** `owner` has something to read in it. */
  hold(owner: object): void {
    if (this.isOpenTo(owner)) this.#holders.add(owner);
  }

  /** `owner` has read it, or gives it up. */
  release(owner: object): void {
    if (!this.#holders.delete(owner) || this.#holders.size > 0) return;
    this.data.rest();
    this.index.rest();
  }

  /** Its name is about to go: what holders need is opened. Where that fails they lose it, and it is told. */
  vanish(): void {
    if (this.#vanished) return;
    this.#vanished = true;
    if (this.#holders.size > 0 && this.committedBytes > 0)
      try {
        this.data.keep();
        if (this.format !== undefined) this.index.keep();
        return;
      } catch (error) {
        const { code, message } = error as MillraceError;
        tell('error', 'disk:unread', `lost to viewers: ${message}`, { viewers: this.#holders.size }, code);
        this.#holders.clear();
      }
    this.data.vanish();
    this.index.vanish();
  }

  /** Takes what nobody can read any more out of the chain behind this file: whoever comes by counts it as lost. */
  forgetLost(): void {
    let { next } = this;
    while (next?.next !== undefined && next.finished && next.#vanished && next.#holders.size === 0) {
      this.lostBehind += next.records + next.lostBehind;
      next = next.next;
    }
    this.next = next;
  }
}
