/**
 * WRITE: its data goes to the image as it arrives, in whatever pieces; nothing is collected. Once something failed the
 * rest is swallowed, so that the connection stays usable. Source: nbd-migration, A.4, B.11.
 */
import type { Slab } from '../../stage/slab.ts';
import { commandFlags, type NbdErrorName } from '../../wire/nbd/index.ts';
import type { CommandContext } from './context.ts';
import type { Request } from './request-reader.ts';

/** Data of a request that is on its way in. */
export interface Payload {
  /** Bytes that have not come. */
  readonly leftBytes: number;
  /** Takes `slab.bytes[start, end)`, at most what is left; borrowed unless it retains the slab. */
  take(slab: Slab, start: number, end: number): void;
}

/** Data that nobody wants: the answer goes out when all of it has come. */
export class Refused implements Payload {
  leftBytes: number;
  readonly #answer: () => void;

  constructor(sizeBytes: number, answer: () => void) {
    this.leftBytes = sizeBytes;
    this.#answer = answer;
  }

  take(_: Slab, start: number, end: number): void {
    this.leftBytes -= end - start;
    if (this.leftBytes === 0) this.#answer();
  }
}

/** One WRITE, from its header on. */
export class Write implements Payload {
  leftBytes: number;
  readonly #context: CommandContext;
  readonly #request: Request;
  #offset: number;
  /** Writes that go on. */
  #pending = 0;
  #failure: { error: unknown } | undefined;
  /** Set once `run` waits for what goes on. */
  #settle: (() => void) | undefined;

  constructor(context: CommandContext, request: Request) {
    this.#context = context;
    this.#request = request;
    this.#offset = request.offset;
    this.leftBytes = request.length;
  }

  take(slab: Slab, start: number, end: number): void {
    const length = end - start;
    const offset = this.#offset;
    this.#offset += length;
    this.leftBytes -= length;
    if (this.#failure === undefined) this.#write(slab, start, length, offset);
    if (this.leftBytes === 0) this.#allCame();
  }

  #write(slab: Slab, start: number, length: number, offset: number): void {
    let writing: Promise<void> | undefined;
    try {
      writing = this.#context.image.write(slab.bytes, start, length, offset);
    } catch (error) {
      this.#failure ??= { error };
    }
    if (writing === undefined) return;
    slab.retain();
    this.#pending += 1;
    void writing
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        slab.release();
        this.#pending -= 1;
        if (this.#pending === 0) this.#settle?.();
      });
  }

  #allCame(): void {
    const { codec, counters, durable, outbox } = this.#context;
    const isDurable = durable || (this.#request.flags & commandFlags.fua) !== 0;
    counters.bytesWritten += this.#request.length;
    if (this.#pending === 0 && this.#failure !== undefined) {
      this.#context.failWith(this.#request, this.#failure.error);
    } else if (this.#pending === 0 && !isDurable) {
      codec.done(outbox, this.#request);
    } else this.#context.run(this.#request, () => this.#finish(isDurable));
  }

  async #finish(isDurable: boolean): Promise<void> {
    if (this.#pending > 0)
      await new Promise<void>((resolve) => {
        this.#settle = resolve;
      });
    if (this.#failure !== undefined) throw this.#failure.error;
    if (isDurable) await this.#context.image.flush();
    this.#context.codec.done(this.#context.outbox, this.#request);
  }
}

/** The data of a WRITE that may not be carried out. */
export function refuse(context: CommandContext, request: Request, error: NbdErrorName, why: string): Payload {
  return new Refused(request.payloadBytes, () => context.fail(request, error, why));
}
