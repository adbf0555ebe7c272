/** Frames as records of a frame log and back. Payloads are not copied in either direction. */
import { narrow } from '../schema/index.ts';
import type { Frame, FrameKind, Index } from '../stage/frames.ts';
import { type LogKind, logKinds } from '../wire/frame-log.ts';
import * as bodies from '../wire/frame-log-bodies.ts';

/** A record before it is written: kind and the parts of its body, in order. */
export interface LogBody {
  kind: LogKind;
  parts: Buffer[];
}

interface Codec<F extends Frame> {
  encode(frame: F, bytes: Buffer): Buffer[];
  /** `base`: where the body begins in the memory that the frame's range counts in. */
  decode(body: Buffer, base: number): Omit<F, 'kind'>;
}

const empty = Buffer.alloc(0);

/** An index on disk has its position as 64 bits. */
const indexOut = (frame: Index) => ({
  ...frame,
  metadataPositionBytes: BigInt(frame.metadataPositionBytes),
});
const indexIn = (value: ReturnType<typeof bodies.indexBody.decode>): Omit<Index, 'kind'> => ({
  ...value,
  metadataPositionBytes: narrow(value.metadataPositionBytes, 'metadata position'),
});

const codecs: { [K in FrameKind]: Codec<Extract<Frame, { kind: K }>> } = {
  sessionOpen: {
    encode: (frame) => [
      bodies.sessionOpenBody.encode({ ...frame, traceFormat: bodies.traceFormats[frame.traceFormat] }),
    ],
    decode(body) {
      const value = bodies.sessionOpenBody.decode(body);
      return { ...value, traceFormat: bodies.nameIn(bodies.traceFormats, value.traceFormat, 'trace format') };
    },
  },
  sessionEnd: {
    encode: ({ session, outcome }) => [
      bodies.sessionEndBody.encode({ session, outcome: bodies.outcomes[outcome] }),
    ],
    decode(body) {
      const { session, outcome } = bodies.sessionEndBody.decode(body);
      return { session, outcome: bodies.nameIn(bodies.outcomes, outcome, 'outcome') };
    },
  },
  streamOpen: {
    encode: (frame) => [bodies.streamOpenBody.encode(frame)],
    decode: (body) => bodies.streamOpenBody.decode(body),
  },
  streamEnd: {
    encode: (frame) => [bodies.streamEndBody.encode(frame)],
    decode: (body) => bodies.streamEndBody.decode(body),
  },
  published: {
    encode: (frame) => [bodies.publishedBody.encode(frame)],
    decode: (body) => bodies.publishedBody.decode(body),
  },
  metadata: {
    encode: (frame, bytes) => [bodies.metadataBody.encode({ ...frame, bytes: empty }), bytes],
    decode(body, base) {
      const { bytes, ...value } = bodies.metadataBody.decode(body);
      return { ...value, start: base + body.length - bytes.length, end: base + body.length };
    },
  },
  data: {
    encode: (frame, bytes) => [
      bodies.dataBody.encode({ ...frame, offsetBytes: BigInt(frame.offsetBytes), bytes: empty }),
      bytes,
    ],
    decode(body, base) {
      const { bytes, ...value } = bodies.dataBody.decode(body);
      return {
        ...value,
        offsetBytes: narrow(value.offsetBytes, 'offset in the packet'),
        start: base + body.length - bytes.length,
        end: base + body.length,
      };
    },
  },
  index: {
    encode: (frame) => [bodies.indexBody.encode(indexOut(frame))],
    decode: (body) => indexIn(bodies.indexBody.decode(body)),
  },
  lost: {
    encode: (frame) => [
      bodies.lostBody.encode({ ...frame, index: frame.index === undefined ? [] : [indexOut(frame.index)] }),
    ],
    decode(body) {
      const { index: announced, ...value } = bodies.lostBody.decode(body);
      const [index] = announced;
      return { ...value, index: index === undefined ? undefined : { kind: 'index', ...indexIn(index) } };
    },
  },
  sync: {
    encode: ({ session, safe }) => [bodies.syncBody.encode({ session, safe: [...safe] })],
    decode: (body) => bodies.syncBody.decode(body),
  },
  inactive: {
    encode: (frame) => [bodies.inactiveBody.encode(frame)],
    decode: (body) => bodies.inactiveBody.decode(body),
  },
  chunkOpen: {
    encode: (frame) => [bodies.chunkOpenBody.encode(frame)],
    decode: (body) => bodies.chunkOpenBody.decode(body),
  },
  switch: {
    encode: (frame) => [bodies.switchBody.encode(frame)],
    decode: (body) => bodies.switchBody.decode(body),
  },
  chunkDone: {
    encode: (frame) => [bodies.chunkDoneBody.encode({ ...frame, action: bodies.chunkActions[frame.action] })],
    decode(body) {
      const value = bodies.chunkDoneBody.decode(body);
      return { ...value, action: bodies.nameIn(bodies.chunkActions, value.action, 'chunk action') };
    },
  },
};

const frameKinds = new Map<number, FrameKind>(
  (Object.keys(codecs) as FrameKind[]).map((kind) => [logKinds[kind], kind]),
);

/**
 * A frame as the body of a record. `slabBytes`: memory that the range of a `data` or `metadata` frame counts in;
 * the last part is a view of it. Throws MR_ERR_WIRE_RANGE and its sisters for values that do not fit the layout.
 */
export function encodeFrame(frame: Frame, slabBytes: Buffer | undefined): LogBody {
  const codec = codecs[frame.kind] as Codec<Frame>;
  const bytes = 'start' in frame && slabBytes ? slabBytes.subarray(frame.start, frame.end) : empty;
  return { kind: frame.kind, parts: codec.encode(frame, bytes) };
}

/**
 * The frame of a record, or undefined when the record is no frame. The range of a `data` or `metadata` frame
 * counts in the memory in which the body begins at `base`; without it, in the body itself. Throws MR_ERR_WIRE_*
 * for a body that does not fit its layout.
 */
export function decodeFrame(record: { kind: number; body: Buffer }, base = 0): Frame | undefined {
  const kind = frameKinds.get(record.kind);
  if (kind === undefined) return undefined;
  return { kind, ...codecs[kind].decode(record.body, base) } as Frame;
}
