/**
 * Turns the bytes of a frame log into records, however they were split. Bodies are ranges of the bytes that were
 * pushed (which therefore must not be written to again); only a record that straddles two pushes is copied, once.
 * Nothing is reserved for a record before its length was compared with the ceiling.
 */
import { limits } from '../limits.ts';
import {
  decodeSegmentHeader,
  logKinds,
  type RecordHeader,
  recordChecksum,
  recordHeader,
  recordHeaderBytes,
  type SegmentHeader,
  segmentHeaderBytes,
} from '../wire/frame-log.ts';

/** One record. `kind`: see `logKinds`, or a number that this version does not know. `body`: read only. */
export interface LogRecord {
  kind: number;
  /** Nanoseconds since 1970. */
  timeNs: bigint;
  /** Where the record begins in its segment, bytes. */
  offset: number;
  body: Buffer;
}

/**
 * How a log ended: `whole` behind a record; `torn` within the last one, as its writer's death leaves it;
 * `damaged` at bytes that are no record although more follow. `offset`: end of the last good record.
 */
export interface LogEnding {
  outcome: 'whole' | 'torn' | 'damaged';
  offset: number;
  why: string;
}

const empty = Buffer.alloc(0);

/** Incremental parser of one segment. */
export class LogParser {
  readonly #path: string;
  readonly #maxRecordBytes: number;
  #header: SegmentHeader | undefined;
  /** The header of the record whose body is awaited, decoded and as bytes. */
  #record: RecordHeader | undefined;
  #recordBytes: Buffer = empty;
  /** Where the awaited segment header or record begins. */
  #offset: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes: number;
  /** Why the bytes at `#offset` are no record. */
  #bad: string | undefined;
  /** Whether anything but zeros lies behind the bad record. */
  #moreBehind = false;

  /**
   * `path`: for error messages. `resume`: to begin at a record in the middle of a segment whose header is known.
   */
  constructor(
    path: string,
    options: { resume?: { header: SegmentHeader; offset: number }; maxRecordBytes?: number } = {},
  ) {
    this.#path = path;
    this.#header = options.resume?.header;
    this.#offset = options.resume?.offset ?? 0;
    this.#maxRecordBytes = options.maxRecordBytes ?? limits.logRecordBytes;
    this.#neededBytes = this.#header === undefined ? segmentHeaderBytes : recordHeaderBytes;
  }

  /** What the segment says of itself; undefined until it was read. */
  get header(): SegmentHeader | undefined {
    return this.#header;
  }

  /**
   * Takes the next bytes and returns the records that they complete; marks are passed over. Throws
   * MR_ERR_LOG_RECORD when this is no frame log, MR_ERR_LOG_VERSION when it is of another version.
   */
  push(bytes: Buffer): LogRecord[] {
    const records: LogRecord[] = [];
    let rest = bytes;
    while (this.#bad === undefined && this.#heldBytes + rest.length >= this.#neededBytes) {
      const taken = this.#neededBytes - this.#heldBytes;
      const unit = this.#join(rest.subarray(0, taken));
      rest = rest.subarray(taken);
      const record = this.#take(unit);
      if (record !== undefined && record.kind !== logKinds.mark) records.push(record);
    }
    if (this.#bad !== undefined) {
      this.#moreBehind ||= rest.some((byte) => byte !== 0);
    } else if (rest.length > 0) {
      this.#held.push(rest);
      this.#heldBytes += rest.length;
    }
    return records;
  }

  /** Whether bytes were pushed that are no record although more follow: nothing will come any more. */
  get damaged(): boolean {
    return this.#moreBehind;
  }

  /** Says how the log ended, once the last byte was pushed. */
  end(): LogEnding {
    const offset = this.#offset;
    if (this.#bad !== undefined)
      return { outcome: this.#moreBehind ? 'damaged' : 'torn', offset, why: this.#bad };
    const whole = this.#heldBytes === 0 && this.#record === undefined && this.#header !== undefined;
    return whole
      ? { outcome: 'whole', offset, why: '' }
      : { outcome: 'torn', offset, why: 'ends in the middle' };
  }

  #join(last: Buffer): Buffer {
    if (this.#heldBytes === 0) return last;
    const unit = Buffer.concat([...this.#held, last]);
    this.#held = [];
    this.#heldBytes = 0;
    return unit;
  }

  #take(unit: Buffer): LogRecord | undefined {
    if (this.#header === undefined) {
      this.#header = decodeSegmentHeader(unit, this.#path);
      this.#next(this.#offset + unit.length);
      return undefined;
    }
    if (this.#record === undefined) {
      this.#record = recordHeader.decode(unit);
      this.#recordBytes = unit;
      const { sizeBytes } = this.#record;
      if (sizeBytes > this.#maxRecordBytes)
        this.#bad = `${sizeBytes} bytes, at most ${this.#maxRecordBytes} are allowed`;
      else this.#neededBytes = sizeBytes;
      return undefined;
    }
    const { kind, timeNs, checksum } = this.#record;
    if (recordChecksum(this.#recordBytes, [unit]) !== checksum) {
      this.#bad = 'checksum does not match';
      return undefined;
    }
    const record = { kind, timeNs, offset: this.#offset, body: unit };
    this.#next(this.#offset + recordHeaderBytes + unit.length);
    return record;
  }

  #next(offset: number): void {
    this.#offset = offset;
    this.#record = undefined;
    this.#neededBytes = recordHeaderBytes;
  }
}
