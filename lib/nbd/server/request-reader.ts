/** Requests out of bytes that come in any pieces: headers are taken one by one, data is left to who asks for it. */
import { MillraceError } from '../../errors.ts';
import {
  commandFlags,
  commandRows,
  extendedRequestHeader,
  type NbdCommand,
  nbdCommands,
  requestHeader,
  requestMagic,
} from '../../wire/nbd/index.ts';

/** One request, as it came. */
export interface Request {
  /** undefined: of no known type. */
  command: NbdCommand | undefined;
  /** As it stood there. */
  type: number;
  flags: number;
  cookie: bigint;
  /** Beyond 2^53 it is not exact, and beyond every disk. */
  offset: number;
  length: number;
  /** Bytes of data that follow. */
  payloadBytes: number;
}

/**
 * See the file's head. `take` is fed until `request` is there, and goes on once `next` was called. A header that lies
 * in one piece is not copied.
 */
export class RequestReader {
  /** The header that is complete. */
  request: Request | undefined;
  /** Set with a request that begins with the wrong bytes. */
  isForeign = false;
  readonly #extended: boolean;
  readonly #headerBytes: number;
  readonly #held: Buffer;
  #heldBytes = 0;

  constructor(extended: boolean) {
    this.#extended = extended;
    this.#headerBytes = (extended ? extendedRequestHeader : requestHeader).minSizeBytes;
    this.#held = Buffer.alloc(this.#headerBytes);
  }

  /** Bytes of a header that is not complete. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes what it needs of `bytes[at, end)` and returns the offset behind. */
  take(bytes: Buffer, at: number, end: number): number {
    const size = this.#headerBytes;
    if (this.#heldBytes === 0 && end - at >= size) {
      this.#decode(bytes, at);
      return at + size;
    }
    const stop = Math.min(end, at + size - this.#heldBytes);
    bytes.copy(this.#held, this.#heldBytes, at, stop);
    this.#heldBytes += stop - at;
    if (this.#heldBytes === size) {
      this.#heldBytes = 0;
      this.#decode(this.#held, 0);
    }
    return stop;
  }

  /** The request was begun. */
  next(): void {
    this.request = undefined;
  }

  #decode(bytes: Buffer, at: number): void {
    if (this.#extended) this.#decodeExtended(bytes, at);
    else {
      const { magic, flags, type, cookie, offset, length } = requestHeader.decode(bytes, at);
      this.isForeign = magic !== requestMagic;
      const payloadBytes = type === commandRows.write.code ? length : 0;
      const command = nbdCommands[type];
      this.request = { command, type, flags, cookie, offset: Number(offset), length, payloadBytes };
    }
  }

  #decodeExtended(bytes: Buffer, at: number): void {
    try {
      const header = extendedRequestHeader.decode(bytes, at);
      const length = Number(header.length);
      const payloadBytes = (header.flags & commandFlags.payloadLength) === 0 ? 0 : length;
      const { flags, type, cookie } = header;
      const command = nbdCommands[type];
      this.request = { command, type, flags, cookie, offset: Number(header.offset), length, payloadBytes };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.isForeign = true;
      this.request = {
        command: undefined,
        type: 0,
        flags: 0,
        cookie: 0n,
        offset: 0,
        length: 0,
        payloadBytes: 0,
      };
    }
  }
}
