/** Bytes that came before they were wanted. */
import { limits } from '../limits.ts';

/** See the file's head. */
export class ReadAhead {
  /** All of them; a view. */
  bytes: Buffer = Buffer.alloc(0);
  /** Called when there is room again, after `push` has said that there is none. */
  onRoom: () => void = () => {};
  #whenMore: (() => void) | undefined;

  get length(): number {
    return this.bytes.length;
  }

  /** Returns whether more may come before something is taken. */
  push(bytes: Buffer): boolean {
    this.bytes = this.length === 0 ? bytes : Buffer.concat([this.bytes, bytes]);
    const whenMore = this.#whenMore;
    this.#whenMore = undefined;
    whenMore?.();
    return whenMore !== undefined || this.length < limits.scratchBytes;
  }

  /** The first `length` bytes; so many must be there. */
  take(length: number): Buffer {
    const taken = this.bytes.subarray(0, length);
    this.bytes = this.bytes.subarray(length);
    return taken;
  }

  /** They were taken too early. */
  putBack(bytes: Buffer): void {
    this.bytes = Buffer.concat([bytes, this.bytes]);
  }

  /** Resolves when more has come. */
  more(): Promise<void> {
    this.onRoom();
    return new Promise((resolve) => {
      this.#whenMore = resolve;
    });
  }
}
