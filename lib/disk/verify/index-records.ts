/** Reads the records of an index file one after the other, as far as it is committed. */
import { type IndexFormat, type IndexRecord, indexFileHeader, indexFormatOf } from '../../ctf/index-file.ts';
import { MillraceError, why } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { CommittedFile, Extent } from '../committed-file.ts';

const headerBytes = indexFileHeader.minSizeBytes;
const gatherRecords = 256;

/** A record and its place in the file. */
export interface PlacedRecord {
  record: IndexRecord;
  atBytes: number;
}

/** See the file's head. The file belongs to the caller. */
export class IndexRecords {
  readonly format: IndexFormat;
  /** Bytes behind the last whole record. */
  readonly tornBytes: number;
  readonly #file: CommittedFile;
  readonly #recordBytes: number;
  readonly #endBytes: number;
  #records: Buffer = Buffer.alloc(0);
  #startBytes = headerBytes;
  #at = 0;

  private constructor(file: CommittedFile, format: IndexFormat, recordBytes: number, endBytes: number) {
    this.#file = file;
    this.format = format;
    this.#recordBytes = recordBytes;
    this.tornBytes = (endBytes - headerBytes) % recordBytes;
    this.#endBytes = endBytes - this.tornBytes;
  }

  /** Reads the header; `firstRecord`: those before it are passed over. Errors: MR_ERR_DISK_READ: it is no index file. */
  static async open(file: CommittedFile, { endBytes }: Extent, firstRecord = 0): Promise<IndexRecords> {
    const refused = (reason: string) =>
      new MillraceError('MR_ERR_DISK_READ', { path: file.path, why: `it is no CTF index file: ${reason}` });
    if (endBytes < headerBytes) throw refused(`${endBytes} bytes`);
    const bytes = await file.read(0, headerBytes);
    let header: ReturnType<typeof indexFileHeader.decode>;
    try {
      header = indexFileHeader.decode(bytes);
    } catch (error) {
      throw refused(why(error));
    }
    const format = indexFormatOf(header);
    if (format === undefined) throw refused(`major version ${header.major}`);
    const { recordSizeBytes } = header;
    if (recordSizeBytes < format.recordSizeBytes || recordSizeBytes > limits.indexRecordBytes)
      throw refused(`records of ${recordSizeBytes} bytes`);
    const records = new IndexRecords(file, format, recordSizeBytes, endBytes);
    records.#startBytes += firstRecord * recordSizeBytes;
    return records;
  }

  /** The next record, which stays the next one until `take`. Errors: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
  async peek(): Promise<PlacedRecord | undefined> {
    if (this.#at >= this.#records.length) {
      this.#startBytes += this.#records.length;
      this.#at = 0;
      const left = Math.max(0, this.#endBytes - this.#startBytes);
      this.#records = await this.#file.read(
        this.#startBytes,
        Math.min(left, gatherRecords * this.#recordBytes),
      );
      if (this.#records.length === 0) return undefined;
    }
    const record = this.format.record.decode(this.#records, this.#at, this.#at + this.#recordBytes);
    return { record, atBytes: this.#startBytes + this.#at };
  }

  take(): void {
    this.#at += this.#recordBytes;
  }
}
