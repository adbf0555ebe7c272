/**
 * The frame log: checksummed records in segments. It is at once a capture of frames, frames on stdin and stdout,
 * the spool of a forwarder, the relay's journal, and the recording of a conversation; what differs is the kinds
 * of its records. README.md, "Frame log", holds the rules, `frame-log-bodies.ts` what the records say; this file
 * holds what is around them.
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../errors.ts';
import { constant, struct, u32, u64, type Value } from '../schema/index.ts';

/** First eight bytes of a segment, "\x89MRLOG\r\n": a transfer that took it for text shows at once. */
export const logMagic = 0x894d_524c_4f47_0d0an;

/** Version of the format. A reader refuses any other. */
export const logVersion = 1;

/** What a log is for. */
export const logContents = { frames: 1, conversation: 2, journal: 3, spool: 4 } as const;
export type LogContent = keyof typeof logContents;

/** Kinds of records. Numbers are never used again; a reader passes over kinds that it does not know. */
export const logKinds = {
  sessionOpen: 0x01,
  sessionEnd: 0x02,
  streamOpen: 0x03,
  streamEnd: 0x04,
  published: 0x05,
  metadata: 0x06,
  data: 0x07,
  index: 0x08,
  lost: 0x09,
  sync: 0x0a,
  inactive: 0x0b,
  chunkOpen: 0x0c,
  switch: 0x0d,
  chunkDone: 0x0e,
  connectionOpen: 0x20,
  bytes: 0x21,
  connectionEnd: 0x22,
  fileOpened: 0x30,
  fileCommitted: 0x31,
  fileClosed: 0x32,
  moveBegun: 0x33,
  moveDone: 0x34,
  chunkMade: 0x35,
  chunkDirectory: 0x36,
  chunkClosed: 0x37,
  chunkGone: 0x38,
  mark: 0x7f,
} as const;
export type LogKind = keyof typeof logKinds;

/** Beginning of a segment. The version stands where every version will have it. */
export const segmentHeader = struct('logSegment', [
  ['magic', constant(u64, logMagic), '"\\x89MRLOG\\r\\n"'],
  ['version', u32, '1'],
  ['content', u32, '1 frames, 2 conversation, 3 journal, 4 spool'],
  ['segment', u32, 'place in its log, from 0'],
  ['createdNs', u64, 'ns since 1970'],
  ['checksum', u32, 'CRC-32 of the bytes before'],
]);

/** What stands before each body. */
export const recordHeader = struct('logRecord', [
  ['sizeBytes', u32, 'bytes of the body'],
  ['kind', u32, 'what the body is'],
  ['timeNs', u64, 'ns since 1970', 'never less than that of the record before'],
  ['checksum', u32, 'CRC-32 of the fields before, then the body'],
]);
export type RecordHeader = Value<typeof recordHeader>;

/** First bytes of a mark's body, found by searching. Random; must not occur in other places by design. */
const markTag = [0xd1f5_3ab7_08e6_4c92n, 0xa36c_915e_f20d_7bb4n] as const;

/** A record that can be found from any place in the file, so that a reader can look for a time by bisecting. */
export const mark = struct('logMark', [
  ['tagHigh', constant(u64, markTag[0]), 'found by searching'],
  ['tagLow', constant(u64, markTag[1]), ''],
  ['offset', u64, 'bytes', 'where this record begins in its segment: tells it from a copy of a mark'],
]);

/** A mark is due in front of the first record that begins this far or farther behind the last one, bytes. */
export const markEveryBytes = 262_144;

export const segmentHeaderBytes = segmentHeader.minSizeBytes;
export const recordHeaderBytes = recordHeader.minSizeBytes;
/** A whole mark: its record header and its body. */
export const markRecordBytes = recordHeaderBytes + mark.minSizeBytes;
/** The bytes to search for. */
export const markTagBytes: Buffer = mark.encode({ offset: 0n }).subarray(0, 16);

const checksumBytes = 4;

/** What a segment says of itself. */
export interface SegmentHeader {
  content: LogContent;
  /** Place in its log, from 0. */
  segment: number;
  /** Nanoseconds since 1970. */
  createdNs: bigint;
}

/** The 32 bytes that begin a segment. */
export function encodeSegmentHeader({ content, segment, createdNs }: SegmentHeader): Buffer {
  const fields = { version: logVersion, content: logContents[content], segment, createdNs };
  const bytes = segmentHeader.encode({ ...fields, checksum: 0 });
  const sumAt = bytes.length - checksumBytes;
  bytes.writeUInt32BE(crc32(bytes.subarray(0, sumAt)), sumAt);
  return bytes;
}

/**
 * Reads the beginning of a segment. `path` is for the error. Throws MR_ERR_LOG_RECORD when this is no frame log,
 * MR_ERR_LOG_VERSION when it is one of another version.
 */
export function decodeSegmentHeader(bytes: Buffer, path: string): SegmentHeader {
  const refuse = (why: string) => new MillraceError('MR_ERR_LOG_RECORD', { path, offset: 0, why });
  if (bytes.readBigUInt64BE(0) !== logMagic) throw refuse('this is no frame log');
  const { version, content: number, segment, createdNs, checksum } = segmentHeader.decode(bytes);
  if (version !== logVersion)
    throw new MillraceError('MR_ERR_LOG_VERSION', { path, got: version, expected: logVersion });
  if (crc32(bytes.subarray(0, segmentHeaderBytes - checksumBytes)) !== checksum)
    throw refuse('checksum of the segment header does not match');
  const content = (Object.keys(logContents) as LogContent[]).find((name) => logContents[name] === number);
  if (content === undefined) throw refuse(`content ${number} is unknown`);
  return { content, segment, createdNs };
}

/** The 20 bytes before a body. `body`: its parts in order, only read. */
export function encodeRecordHeader(kind: number, timeNs: bigint, body: readonly Uint8Array[]): Buffer {
  const sizeBytes = body.reduce((sum, part) => sum + part.length, 0);
  const header = recordHeader.encode({ sizeBytes, kind, timeNs, checksum: 0 });
  header.writeUInt32BE(recordChecksum(header, body), recordHeaderBytes - checksumBytes);
  return header;
}

/** The checksum that belongs into a record's header. `header`: its 20 bytes. */
export function recordChecksum(header: Buffer, body: readonly Uint8Array[]): number {
  let sum = crc32(header.subarray(0, recordHeaderBytes - checksumBytes));
  for (const part of body) sum = crc32(part, sum);
  return sum;
}
