/**
 * The framer: finds messages in bytes that arrive in any pieces. One for all formats: a format says how long a
 * header is and, from the header, how much of the body is wanted in one piece (`collectBytes`) and how much
 * follows. What is wanted in one piece is handed over in place when it lies in one read, and is gathered in a
 * buffer of its own otherwise; that buffer grows with the bytes that really came, never with a length that a
 * peer only announced. Everything else passes as ranges of the read, nothing is copied.
 *
 * The framer keeps no slab: after `feed` returns, all ranges belong to the caller again.
 */
import { MillraceError } from '../errors.ts';

/** What a header must say. `bodyBytes` >= `collectBytes` >= 0. */
export interface Header {
  /** Bytes that follow the header. */
  bodyBytes: number;
  /** How many of them are wanted in one piece; the rest passes in parts. */
  collectBytes: number;
}

/** One wire format. `header` may throw: then the bytes are not of this format, and the framer is done for. */
export interface Format<H extends Header> {
  what: string;
  headerBytes: number;
  header(bytes: Buffer, at: number): H;
}

/** Who gets the messages. Ranges are borrowed until the call returns. */
export interface MessageSink<H extends Header> {
  /** A message begins; `bytes[start, end)` holds the collected part of its body. */
  begin(header: H, bytes: Buffer, start: number, end: number): void;
  /** Bytes of the rest of its body; `last` with the final ones. Not called when there is no rest. */
  part(header: H, bytes: Buffer, start: number, end: number, last: boolean): void;
}

const firstGrowthBytes = 256;

/** See the file's head. Errors: what `format.header` and the sink throw; MR_ERR_STAGE_TRUNCATED from `end`. */
export class Framer<H extends Header> {
  readonly #format: Format<H>;
  readonly #sink: MessageSink<H>;
  /** Header bytes, or the collected body, of a message that is split over reads. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  #header: H | undefined;
  /** Bytes of the current body that still have to pass in parts. */
  #leftBytes = 0;

  constructor(format: Format<H>, sink: MessageSink<H>) {
    this.#format = format;
    this.#sink = sink;
  }

  /** Takes `bytes[start, end)`; calls the sink for every message, or part of one, found there. */
  feed(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#leftBytes > 0) at = this.#pass(bytes, at, end);
      else if (this.#header === undefined) at = this.#takeHeader(bytes, at, end);
      else at = this.#collect(this.#header, bytes, at, end);
    }
  }

  /** Whether a message has begun and its rest is still to come. */
  get isWithin(): boolean {
    return this.#header !== undefined || this.#heldBytes > 0;
  }

  /** The bytes have ended. Throws MR_ERR_STAGE_TRUNCATED when that was in the middle of a message. */
  end(): void {
    const { headerBytes, what } = this.#format;
    const header = this.#header;
    if (header !== undefined) {
      const missing = this.#leftBytes > 0 ? this.#leftBytes : header.bodyBytes - this.#heldBytes;
      throw truncated(what, headerBytes + header.bodyBytes - missing, headerBytes + header.bodyBytes);
    }
    if (this.#heldBytes > 0) throw truncated(`${what} header`, this.#heldBytes, headerBytes);
  }

  #pass(bytes: Buffer, at: number, end: number): number {
    const header = this.#header as H;
    const stop = Math.min(end, at + this.#leftBytes);
    this.#leftBytes -= stop - at;
    const last = this.#leftBytes === 0;
    if (last) this.#header = undefined;
    this.#sink.part(header, bytes, at, stop, last);
    return stop;
  }

  #takeHeader(bytes: Buffer, at: number, end: number): number {
    const { headerBytes } = this.#format;
    if (this.#heldBytes === 0 && end - at >= headerBytes) {
      return this.#opened(this.#format.header(bytes, at), bytes, at + headerBytes, end);
    }
    const stop = this.#hold(bytes, at, end, headerBytes);
    if (this.#heldBytes === headerBytes) {
      const header = this.#format.header(this.#held, 0);
      this.#heldBytes = 0;
      return this.#opened(header, bytes, stop, end);
    }
    return stop;
  }

  #opened(header: H, bytes: Buffer, at: number, end: number): number {
    if (end - at < header.collectBytes) {
      this.#header = header;
      return at;
    }
    const stop = at + header.collectBytes;
    this.#begin(header, bytes, at, stop);
    return stop;
  }

  #begin(header: H, bytes: Buffer, start: number, end: number): void {
    this.#leftBytes = header.bodyBytes - header.collectBytes;
    this.#header = this.#leftBytes > 0 ? header : undefined;
    this.#sink.begin(header, bytes, start, end);
  }

  #collect(header: H, bytes: Buffer, at: number, end: number): number {
    const stop = this.#hold(bytes, at, end, header.collectBytes);
    if (this.#heldBytes === header.collectBytes) {
      const held = this.#held;
      this.#heldBytes = 0;
      this.#held = Buffer.alloc(0);
      this.#begin(header, held, 0, header.collectBytes);
    }
    return stop;
  }

  #hold(bytes: Buffer, at: number, end: number, wanted: number): number {
    const stop = Math.min(end, at + wanted - this.#heldBytes);
    const need = this.#heldBytes + stop - at;
    if (need > this.#held.length) {
      const grown = Buffer.alloc(Math.min(wanted, Math.max(need, this.#held.length * 2, firstGrowthBytes)));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes, at, stop);
    this.#heldBytes = need;
    return stop;
  }
}

function truncated(what: string, got: number, expected: number): MillraceError {
  return new MillraceError('MR_ERR_STAGE_TRUNCATED', { what, got, expected });
}
