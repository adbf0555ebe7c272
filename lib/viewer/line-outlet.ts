/** Where lines are gathered until they are written: in memory of its own, or in memory that is given to it piece by piece. */
import { TextBuffer } from './text/text-buffer.ts';

/** Bytes of lines that are written at a time, but for the first event: that one is waited for. */
const flushBytes = 131_072;
/** Room for a line in memory that is given; a longer one makes room for itself. */
const lineBytes = 32_768;

/** Gives memory for lines, much more than one. */
export type LineMemory = () => Promise<Uint8Array>;

export class LineOutlet {
  readonly buffer = new TextBuffer(2 * flushBytes);
  readonly #write: (lines: Uint8Array) => Promise<void>;
  #fullAt = 1;
  #memory: LineMemory | undefined;

  /** `write`: what is in memory that was given goes back with it. */
  constructor(write: (lines: Uint8Array) => Promise<void>) {
    this.#write = write;
  }

  get isFull(): boolean {
    return this.buffer.at >= this.#fullAt;
  }

  /** From now on lines go to memory that is given. */
  async use(memory: LineMemory): Promise<void> {
    if (this.#memory !== undefined) return;
    this.#memory = memory;
    this.buffer.moveTo(await memory());
  }

  /** Writes what is there. */
  async flush(): Promise<void> {
    const { buffer } = this;
    if (buffer.at === 0) return;
    await this.#write(buffer.bytes.subarray(0, buffer.at));
    buffer.at = 0;
    this.#fullAt = flushBytes;
    if (this.#memory === undefined) return;
    buffer.moveTo(await this.#memory());
    this.#fullAt = buffer.bytes.length - lineBytes;
  }
}
