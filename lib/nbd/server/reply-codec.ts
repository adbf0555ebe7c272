/** The three ways to write a reply: simple, structured, and with extended headers. Source: nbd-migration, A.3, B.8, B.12. */
import {
  blockExtent,
  blockExtentExt,
  blockStatus,
  blockStatusExt,
  chunkFlags,
  chunkHeader,
  chunkTypes,
  errorChunk,
  extendedChunkHeader,
  type NbdErrorName,
  nbdErrors,
  offsetData,
  offsetHole,
  simpleReply,
} from '../../wire/nbd/index.ts';
import type { ReplyStyle } from '../export.ts';
import type { Outbox } from './outbox.ts';
import type { Request } from './request-reader.ts';

/** What a request names when it is answered. */
export type Answered = Pick<Request, 'cookie' | 'offset'>;

/** An extent as BLOCK_STATUS reports it. */
export interface StatusExtent {
  lengthBytes: number;
  status: number;
}

/** How replies are written for one connection. */
export interface ReplyCodec {
  /** Several chunks make a reply, holes are told, errors may come late. */
  readonly hasChunks: boolean;
  /** Lengths of extents are not bound to 32 bits. */
  readonly isExtended: boolean;
  /** A request without data to return is done. */
  readonly done: (outbox: Outbox, to: Answered) => void;
  /** It failed; the message is for people. */
  readonly failed: (outbox: Outbox, to: Answered, error: NbdErrorName, message: string) => void;
  /** A READ of nothing. */
  readonly empty: (outbox: Outbox, to: Answered) => void;
  /** Bytes of what goes in front of data. */
  readonly dataHeadBytes: number;
  /** Writes that; `lengthBytes` of data from `offset` follow. `last`: nothing more belongs to the reply. */
  dataHead(bytes: Buffer, at: number, to: Answered, offset: number, lengthBytes: number, last: boolean): void;
  /** Bytes of a hole's chunk. */
  readonly holeBytes: number;
  hole(bytes: Buffer, at: number, to: Answered, offset: number, lengthBytes: number, last: boolean): void;
  /** The answer to BLOCK_STATUS for one context. */
  status(outbox: Outbox, to: Answered, contextId: number, extents: readonly StatusExtent[]): void;
}

const simple: ReplyCodec = {
  hasChunks: false,
  isExtended: false,
  done: (outbox, { cookie }) =>
    outbox.small(simpleReply.minSizeBytes, (bytes, at) =>
      simpleReply.encodeInto({ error: 0, cookie }, bytes, at),
    ),
  failed: (outbox, { cookie }, error) =>
    outbox.small(simpleReply.minSizeBytes, (bytes, at) =>
      simpleReply.encodeInto({ error: nbdErrors[error], cookie }, bytes, at),
    ),
  empty: (outbox, to) => simple.done(outbox, to),
  dataHeadBytes: simpleReply.minSizeBytes,
  dataHead: (bytes, at, { cookie }) => void simpleReply.encodeInto({ error: 0, cookie }, bytes, at),
  holeBytes: 0,
  hole: () => {
    throw new Error('simple replies have no holes');
  },
  status: () => {
    throw new Error('simple replies have no extents');
  },
};

/** Both chunked styles differ in their headers only, and in the width of extents. */
function chunked(extended: boolean): ReplyCodec {
  const headBytes = (extended ? extendedChunkHeader : chunkHeader).minSizeBytes;
  const head = (
    bytes: Buffer,
    at: number,
    { cookie, offset }: Answered,
    type: number,
    payloadSizeBytes: number,
    last: boolean,
  ): number => {
    const flags = last ? chunkFlags.done : 0;
    if (!extended) return chunkHeader.encodeInto({ flags, type, cookie, payloadSizeBytes }, bytes, at);
    const value = {
      flags,
      type,
      cookie,
      offset: BigInt(offset),
      payloadSizeBytes: BigInt(payloadSizeBytes),
    };
    return extendedChunkHeader.encodeInto(value, bytes, at);
  };
  const none = (outbox: Outbox, to: Answered): void =>
    outbox.small(headBytes, (bytes, at) => void head(bytes, at, to, chunkTypes.none, 0, true));
  return {
    hasChunks: true,
    isExtended: extended,
    // without data a simple reply is allowed, and shorter; with extended headers it is not
    done: extended ? none : simple.done,
    empty: none,
    failed(outbox, to, error, message) {
      const value = { error: nbdErrors[error], message: message.slice(0, 1000) };
      const payload = errorChunk.sizeOf(value);
      outbox.small(headBytes + payload, (bytes, at) => {
        errorChunk.encodeInto(value, bytes, head(bytes, at, to, chunkTypes.error, payload, true));
      });
    },
    dataHeadBytes: headBytes + offsetData.minSizeBytes,
    dataHead(bytes, at, to, offset, lengthBytes, last) {
      const payload = offsetData.minSizeBytes + lengthBytes;
      const behind = head(bytes, at, to, chunkTypes.offsetData, payload, last);
      offsetData.encodeInto({ offset: BigInt(offset) }, bytes, behind);
    },
    holeBytes: headBytes + offsetHole.minSizeBytes,
    hole(bytes, at, to, offset, lengthBytes, last) {
      const behind = head(bytes, at, to, chunkTypes.offsetHole, offsetHole.minSizeBytes, last);
      offsetHole.encodeInto({ offset: BigInt(offset), length: lengthBytes }, bytes, behind);
    },
    status(outbox, to, contextId, extents) {
      const context = extended ? blockStatusExt : blockStatus;
      const each = extended ? blockExtentExt.minSizeBytes : blockExtent.minSizeBytes;
      const payload = context.minSizeBytes + extents.length * each;
      const type = extended ? chunkTypes.blockStatusExt : chunkTypes.blockStatus;
      outbox.small(headBytes + payload, (bytes, start) => {
        let at = head(bytes, start, to, type, payload, true);
        at = extended
          ? blockStatusExt.encodeInto({ contextId, count: extents.length }, bytes, at)
          : blockStatus.encodeInto({ contextId }, bytes, at);
        for (const { lengthBytes, status } of extents)
          at = extended
            ? blockExtentExt.encodeInto({ length: BigInt(lengthBytes), status: BigInt(status) }, bytes, at)
            : blockExtent.encodeInto({ length: lengthBytes, status }, bytes, at);
      });
    },
  };
}

const structured = chunked(false);
const extended = chunked(true);

/** The way that was agreed. */
export function replyCodecOf(style: ReplyStyle): ReplyCodec {
  if (style.extended) return extended;
  return style.structured ? structured : simple;
}
