/** Replies out of bytes that come in any pieces. Data of READ passes as it comes, everything else is small and collected. */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import {
  chunkFlags,
  chunkHeader,
  chunkMagic,
  chunkTypes,
  extendedChunkHeader,
  extendedChunkMagic,
  offsetData,
  simpleReply,
  simpleReplyMagic,
} from '../../wire/nbd/index.ts';
import type { ReplyStyle } from '../export.ts';

/** A reply, or a chunk of one. */
export interface ReplyHead {
  cookie: bigint;
  /** undefined: a simple reply. */
  chunkType: number | undefined;
  /** Of a simple reply; 0 in chunks, whose errors are in their payload. */
  error: number;
  /** Nothing more of this reply follows behind its payload. */
  isLast: boolean;
  payloadBytes: number;
}

/** Who gets the replies; memory is borrowed until the call returns. Errors thrown end the connection. */
export interface ReplySink {
  /** How much data follows a simple reply: that only who has asked knows. */
  dataBytes(cookie: bigint): number;
  /** A reply or chunk whose payload is `payload`. */
  reply(head: ReplyHead, payload: Buffer): void;
  /** A part of the data of a READ that belongs at `offset` of the export; undefined: where the request began, and on. */
  data(head: ReplyHead, offset: number | undefined, bytes: Buffer): void;
  /** All of its data has come. */
  dataEnd(head: ReplyHead): void;
}

const empty = Buffer.alloc(0);

/** See the file's head. Throws MR_ERR_NBD_PROTOCOL for bytes that are no reply. */
export class ReplyReader {
  readonly #style: ReplyStyle;
  readonly #peer: string;
  readonly #sink: ReplySink;
  #held = Buffer.alloc(64);
  #heldBytes = 0;
  #head: ReplyHead | undefined;
  /** Bytes of data that pass, once `#offset` is known. */
  #passBytes = 0;
  #offset: number | undefined;

  constructor(style: ReplyStyle, peer: string, sink: ReplySink) {
    this.#style = style;
    this.#peer = peer;
    this.#sink = sink;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.#passBytes > 0) {
        const stop = Math.min(end, at + this.#passBytes);
        this.#pass(bytes.subarray(at, stop));
        at = stop;
        continue;
      }
      const wanted = this.#wanted();
      const stop = Math.min(end, at + wanted - this.#heldBytes);
      this.#hold(bytes, at, stop);
      at = stop;
      if (this.#heldBytes === wanted) this.#take();
    }
  }

  /** Whether the bytes may end here. */
  get isBetween(): boolean {
    return this.#heldBytes === 0 && this.#head === undefined;
  }

  /** How many bytes are to be collected next. */
  #wanted(): number {
    const head = this.#head;
    if (head !== undefined)
      return head.chunkType === chunkTypes.offsetData ? offsetData.minSizeBytes : head.payloadBytes;
    if (this.#heldBytes < 4) return 4;
    switch (this.#held.readUInt32BE(0)) {
      case simpleReplyMagic:
        return simpleReply.minSizeBytes;
      case chunkMagic:
        return chunkHeader.minSizeBytes;
      default:
        return extendedChunkHeader.minSizeBytes;
    }
  }

  #hold(bytes: Buffer, start: number, stop: number): void {
    const needed = this.#heldBytes + stop - start;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#held.length * 2));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes, start, stop);
    this.#heldBytes = needed;
  }

  /** What was wanted is there. */
  #take(): void {
    const head = this.#head;
    if (head === undefined) {
      if (this.#heldBytes === 4) this.#checkMagic(this.#held.readUInt32BE(0));
      else this.#begin();
      return;
    }
    if (head.chunkType === chunkTypes.offsetData) {
      this.#offset = Number(offsetData.decode(this.#held, 0, this.#heldBytes).offset);
      this.#heldBytes = 0;
      this.#passBytes = head.payloadBytes - offsetData.minSizeBytes;
      return;
    }
    const payload = this.#held.subarray(0, this.#heldBytes);
    this.#heldBytes = 0;
    this.#head = undefined;
    this.#sink.reply(head, payload);
  }

  #checkMagic(magic: number): void {
    const { extended, structured } = this.#style;
    const expected = extended
      ? magic === extendedChunkMagic
      : magic === simpleReplyMagic || (structured && magic === chunkMagic);
    if (!expected) this.#fail(`a reply that begins with ${magic.toString(16)}`);
  }

  #begin(): void {
    const head = this.#decode();
    this.#heldBytes = 0;
    this.#offset = undefined;
    if (head.chunkType === undefined)
      this.#passBytes = head.error === 0 ? this.#sink.dataBytes(head.cookie) : 0;
    else this.#checkPayload(head.chunkType, head.payloadBytes);
    if (this.#passBytes === 0 && head.payloadBytes === 0) this.#sink.reply(head, empty);
    else this.#head = head;
  }

  #checkPayload(chunkType: number, payloadBytes: number): void {
    if (chunkType !== chunkTypes.offsetData) {
      if (payloadBytes > limits.nbdChunkBytes) this.#fail(`a chunk of ${payloadBytes} bytes`);
    } else if (payloadBytes <= offsetData.minSizeBytes) this.#fail('a data chunk without data');
  }

  #decode(): ReplyHead {
    const bytes = this.#held;
    switch (bytes.readUInt32BE(0)) {
      case simpleReplyMagic: {
        const { cookie, error } = simpleReply.decode(bytes, 0, this.#heldBytes);
        return { cookie, error, chunkType: undefined, isLast: true, payloadBytes: 0 };
      }
      case chunkMagic:
        return chunkHead(chunkHeader.decode(bytes, 0, this.#heldBytes));
      default:
        return chunkHead(extendedChunkHeader.decode(bytes, 0, this.#heldBytes));
    }
  }

  #pass(bytes: Buffer): void {
    const head = this.#head as ReplyHead;
    this.#passBytes -= bytes.length;
    this.#sink.data(head, this.#offset, bytes);
    if (this.#offset !== undefined) this.#offset += bytes.length;
    if (this.#passBytes > 0) return;
    this.#head = undefined;
    this.#sink.dataEnd(head);
  }

  #fail(why: string): never {
    throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer: this.#peer, why });
  }
}

function chunkHead(header: {
  cookie: bigint;
  type: number;
  flags: number;
  payloadSizeBytes: number | bigint;
}): ReplyHead {
  return {
    cookie: header.cookie,
    chunkType: header.type,
    error: 0,
    isLast: (header.flags & chunkFlags.done) !== 0,
    payloadBytes: Number(header.payloadSizeBytes),
  };
}
