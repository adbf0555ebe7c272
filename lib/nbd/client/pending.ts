/** Requests that wait for their replies. */
import { MillraceError } from '../../errors.ts';
import {
  blockExtent,
  blockExtentExt,
  blockStatus,
  blockStatusExt,
  type CommandName,
  chunkTypes,
  errorChunk,
  isErrorChunk,
  nbdErrorName,
  offsetHole,
} from '../../wire/nbd/index.ts';
import type { ReplyHead, ReplySink } from './reply-reader.ts';

/** One request on its way. */
export interface Pending {
  command: CommandName;
  offset: number;
  length: number;
  /** Where the data of a READ goes: `bytes[start, start + length)`. */
  bytes?: Buffer;
  start?: number;
  /** Where data of a simple reply goes on. */
  filled: number;
  /** Extents of a BLOCK_STATUS. */
  extents: { lengthBytes: number; status: number }[];
  error: MillraceError | undefined;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Joins replies with their requests. Throws MR_ERR_NBD_PROTOCOL for what belongs to none. */
export class PendingRequests implements ReplySink {
  readonly #peer: string;
  readonly #allocationId: number | undefined;
  readonly #pending = new Map<bigint, Pending>();
  #cookie = 0n;

  constructor(peer: string, allocationId: number | undefined) {
    this.#peer = peer;
    this.#allocationId = allocationId;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Keeps a request, and returns the cookie that its reply will have. */
  add(pending: Pending, cookie?: bigint): bigint {
    if (cookie === undefined || this.#pending.has(cookie)) this.#cookie += 1n;
    const own = cookie === undefined || this.#pending.has(cookie) ? this.#cookie : cookie;
    this.#pending.set(own, pending);
    return own;
  }

  /** No reply will come. */
  failAll(error: Error): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of all) reject(error);
  }

  dataBytes(cookie: bigint): number {
    const pending = this.#of(cookie);
    return pending.command === 'read' ? pending.length : 0;
  }

  data({ cookie }: ReplyHead, offset: number | undefined, bytes: Buffer): void {
    const pending = this.#of(cookie);
    const at = offset === undefined ? pending.filled : offset - pending.offset;
    this.#target(pending, at, bytes.length, (target, start) => bytes.copy(target, start));
  }

  dataEnd({ cookie, isLast }: ReplyHead): void {
    if (isLast) this.#end(cookie, this.#of(cookie));
  }

  reply(head: ReplyHead, payload: Buffer): void {
    const { chunkType, cookie, error, isLast } = head;
    const pending = this.#of(cookie);
    if (chunkType === undefined) {
      if (error !== 0) pending.error ??= this.#failure(pending, error, '');
    } else if (isErrorChunk(chunkType)) {
      const { error: value, message } = errorChunk.decode(payload);
      pending.error ??= this.#failure(pending, value, message);
    } else this.#chunk(chunkType, pending, payload);
    if (isLast) this.#end(cookie, pending);
  }

  #chunk(chunkType: number, pending: Pending, payload: Buffer): void {
    switch (chunkType) {
      case chunkTypes.none:
        return;
      case chunkTypes.offsetHole: {
        const { offset, length } = offsetHole.decode(payload);
        this.#target(pending, Number(offset) - pending.offset, length, (target, start) =>
          target.fill(0, start, start + length),
        );
        return;
      }
      case chunkTypes.blockStatus: {
        if (blockStatus.decode(payload).contextId !== this.#allocationId) return;
        for (let at = blockStatus.minSizeBytes; at < payload.length; at += blockExtent.minSizeBytes) {
          const { length, status } = blockExtent.decode(payload, at);
          this.#extent(pending, length, status);
        }
        return;
      }
      case chunkTypes.blockStatusExt: {
        if (blockStatusExt.decode(payload).contextId !== this.#allocationId) return;
        for (let at = blockStatusExt.minSizeBytes; at < payload.length; at += blockExtentExt.minSizeBytes) {
          const { length, status } = blockExtentExt.decode(payload, at);
          this.#extent(pending, Number(length), Number(status));
        }
        return;
      }
      default:
        this.#broken(`a chunk of type ${chunkType}`);
    }
  }

  #extent(pending: Pending, lengthBytes: number, status: number): void {
    if (pending.command !== 'blockStatus' || lengthBytes === 0) this.#broken('an extent of nothing');
    pending.extents.push({ lengthBytes, status });
  }

  /** Writes into the memory of a READ, if the range is one of its own. */
  #target(pending: Pending, at: number, length: number, write: (bytes: Buffer, start: number) => void): void {
    const { bytes, start = 0 } = pending;
    if (bytes === undefined || at < 0 || at + length > pending.length)
      this.#broken('data that nobody has asked for');
    else write(bytes, start + at);
    pending.filled += length;
  }

  #end(cookie: bigint, pending: Pending): void {
    this.#pending.delete(cookie);
    if (pending.error !== undefined) pending.reject(pending.error);
    else if (pending.command === 'read' && pending.filled !== pending.length)
      this.#broken(`${pending.filled} of ${pending.length} bytes`);
    else pending.resolve();
  }

  #of(cookie: bigint): Pending {
    return this.#pending.get(cookie) ?? this.#broken('a reply to no request');
  }

  #failure({ command }: Pending, error: number, words: string): MillraceError {
    const message = words === '' ? '' : `: ${words}`;
    return new MillraceError('MR_ERR_NBD_REPLY', {
      peer: this.#peer,
      command,
      error: nbdErrorName(error),
      message,
    });
  }

  #broken(why: string): never {
    throw new MillraceError('MR_ERR_NBD_PROTOCOL', { peer: this.#peer, why });
  }
}
