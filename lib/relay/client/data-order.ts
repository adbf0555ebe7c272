/**
 * What the data connection must keep to, whatever order frames come in:
 *
 * - a packet's parts are not mixed with those of another stream;
 * - while a stream changes trace chunks, each packet waits until the relay has acknowledged the index of the one
 *   before. lttng-relayd moves what it received too early, and dies of it. Source: relay-protocol §12.3.
 *
 * A frame that may not leave yet is shelved with its slab. The shelf is short: a source that fills it is at fault.
 */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Data } from '../../stage/frames.ts';
import type { Slab } from '../../stage/slab.ts';
import type { ClientStream } from './client-stream.ts';

interface Shelved {
  stream: ClientStream;
  frame: Data;
  slab: Slab;
}

/** See the file's head. `send` sends one frame; `acknowledged` resolves when every reply that is due has come. */
export class DataOrder {
  readonly #send: (stream: ClientStream, frame: Data, slab: Slab) => void;
  readonly #acknowledged: () => Promise<void>;
  #shelf: Shelved[] = [];
  /** The stream whose packet has begun and not ended. */
  #current: ClientStream | undefined;

  constructor(
    send: (stream: ClientStream, frame: Data, slab: Slab) => void,
    acknowledged: () => Promise<void>,
  ) {
    this.#send = send;
    this.#acknowledged = acknowledged;
  }

  get isEmpty(): boolean {
    return this.#shelf.length === 0;
  }

  /** Takes a frame; what it has to wait for inside the relay is waited for. Errors: MR_ERR_STAGE_ORDER. */
  take(stream: ClientStream, frame: Data, slab: Slab): Promise<void> | undefined {
    if (this.#shelf.length === 0 && this.#isFree(stream, frame)) {
      if (stream.switchingAt === undefined || frame.offsetBytes > 0) {
        this.#pass(stream, frame, slab);
        return undefined;
      }
      return this.#acknowledged().then(() => this.#pass(stream, frame, slab));
    }
    this.#shelf.push({ stream, frame, slab: slab.retain() });
    this.#refuseTooMany(frame);
    return this.release();
  }

  /** Something has changed: sends what need not wait any longer. */
  async release(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { stream, frame, slab } = next;
      try {
        if (stream.switchingAt !== undefined && frame.offsetBytes === 0) await this.#acknowledged();
        this.#pass(stream, frame, slab);
      } finally {
        slab.release();
      }
    }
  }

  /** Takes the first frame from the shelf that may leave, of each stream the earliest. */
  #next(): Shelved | undefined {
    const waiting = new Set<ClientStream>();
    const at = this.#shelf.findIndex(({ stream, frame }) => {
      if (!waiting.has(stream) && this.#isFree(stream, frame)) return true;
      waiting.add(stream);
      return false;
    });
    return at < 0 ? undefined : this.#shelf.splice(at, 1)[0];
  }

  #isFree(stream: ClientStream, { offsetBytes }: Data): boolean {
    if (this.#current !== undefined) return this.#current === stream;
    return offsetBytes > 0 || stream.switchingAt === undefined || stream.unindexed.size === 0;
  }

  #pass(stream: ClientStream, frame: Data, slab: Slab): void {
    this.#current = frame.last ? undefined : stream;
    this.#send(stream, frame, slab);
  }

  /** A packet that was begun ends here, whatever is missing of it. */
  ended(stream: ClientStream): void {
    if (this.#current === stream) this.#current = undefined;
  }

  #refuseTooMany(frame: Data): void {
    const slabs = new Set(this.#shelf.map(({ slab }) => slab));
    if (slabs.size <= limits.orderHeldSlabs && this.#shelf.length <= limits.orderHeldFrames) return;
    const why = 'too many packets wait for the index of one before a change of trace chunks';
    throw new MillraceError('MR_ERR_STAGE_ORDER', {
      frame: 'data',
      state: 'shelf',
      why,
      stream: frame.stream,
    });
  }

  /** The stream is gone, or everything is: gives back what waits. */
  drop(stream?: ClientStream): void {
    const mine = this.#shelf.filter((each) => stream === undefined || each.stream === stream);
    this.#shelf = this.#shelf.filter((each) => !mine.includes(each));
    for (const { slab } of mine) slab.release();
  }
}
