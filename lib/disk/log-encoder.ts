import {
  encodeRecordHeader,
  encodeSegmentHeader,
  type LogKind,
  logKinds,
  mark,
  markEveryBytes,
  markRecordBytes,
  recordHeaderBytes,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../wire/frame-log.ts';

/**
 * Bytes of one segment in order: the header first, a mark wherever one is due, times that never go back. It keeps
 * no bytes; what it returns must be written whole and in order.
 */
export class LogEncoder {
  /** Where the next record begins in the segment, bytes. */
  offset: number;
  #lastMark: number;
  #timeNs = 0n;

  /** `offset`: where to go on in a segment that exists; 0 for a new one. */
  constructor(offset = 0) {
    this.offset = offset;
    this.#lastMark = offset;
  }

  /** The beginning of a new segment. */
  header(header: SegmentHeader): Buffer {
    this.offset = segmentHeaderBytes;
    this.#lastMark = this.offset;
    return encodeSegmentHeader(header);
  }

  /** One record. `parts`: its body, which becomes part of the result, uncopied. `timeNs`: since 1970. */
  record(kind: LogKind, timeNs: bigint, parts: readonly Buffer[]): Buffer[] {
    if (timeNs > this.#timeNs) this.#timeNs = timeNs;
    const marked = this.offset - this.#lastMark >= markEveryBytes ? this.#mark() : [];
    const header = encodeRecordHeader(logKinds[kind], this.#timeNs, parts);
    this.offset += parts.reduce((sum, part) => sum + part.length, recordHeaderBytes);
    return [...marked, header, ...parts];
  }

  #mark(): Buffer[] {
    const body = mark.encode({ offset: BigInt(this.offset) });
    this.#lastMark = this.offset;
    this.offset += markRecordBytes;
    return [encodeRecordHeader(logKinds.mark, this.#timeNs, [body]), body];
  }
}
