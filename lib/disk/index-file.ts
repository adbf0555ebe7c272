/**
 * A CTF index file that a relay writes: a header, then one record a packet, in the order in which packets
 * became complete. Records are gathered and written together.
 */
import { readSync } from 'node:fs';
import { type IndexFormat, lostOffsetBytes } from '../ctf/index-file.ts';
import { MillraceError } from '../errors.ts';
import type { Index } from '../stage/frames.ts';
import { AppendFile, type AppendFileOptions, type DiskEnvironment } from './append-file.ts';

const none = 0xffff_ffff_ffff_ffffn;
const gatherRecords = 64;

/** See the file's head. The directory must exist. Errors: MR_ERR_DISK_CREATE, MR_ERR_DISK_WRITE, MR_ERR_DISK_FULL. */
export class IndexFile {
  readonly file: AppendFile;
  readonly #format: IndexFormat;
  readonly #headerBytes: number;
  #gathered: Buffer;
  #gatheredBytes = 0;

  constructor(
    directory: string,
    name: string,
    format: IndexFormat,
    env: DiskEnvironment,
    options: AppendFileOptions = {},
  ) {
    this.#format = format;
    this.#headerBytes = format.header.length;
    this.#gathered = Buffer.allocUnsafe(gatherRecords * format.recordSizeBytes);
    this.file = new AppendFile(directory, name, env, { urgent: true, ...options });
    if (this.file.writtenBytes > 0) this.#checkHeader();
  }

  /** A file that is gone on with must be of the version that is written. */
  #checkHeader(): void {
    const found = Buffer.alloc(this.#headerBytes);
    readSync(this.file.descriptor, found, 0, found.length, 0);
    if (found.equals(this.#format.header)) return;
    const { path } = this.file;
    this.file.close();
    throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: 'its records are of another version' });
  }

  /** Whole records in it. */
  get records(): number {
    return Math.max(
      0,
      Math.floor((this.file.writtenBytes - this.#headerBytes) / this.#format.recordSizeBytes),
    );
  }

  /**
   * Writes the header, at once as the creation itself: until it is there the file could not be suspended, and a
   * thousand of them not be made in one go. Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE.
   */
  begin(): void {
    if (this.file.writtenBytes > 0) return;
    this.file.appendNow(this.#format.header);
    this.file.commit(this.#headerBytes);
  }

  /** Whether its header is not there whole: no reader can make anything of it. */
  get isTorn(): boolean {
    return this.file.writtenBytes < this.#headerBytes;
  }

  /** Adds the record of a packet that begins at `offsetBytes` of its data file; -1: that was lost. */
  add(index: Index, offsetBytes: number): void {
    if (this.#gatheredBytes + this.#format.recordSizeBytes > this.#gathered.length) {
      const grown = Buffer.allocUnsafe(this.#gathered.length * 2);
      this.#gathered.copy(grown, 0, 0, this.#gatheredBytes);
      this.#gathered = grown;
    }
    this.#gatheredBytes = this.#format.record.encodeInto(
      {
        offsetBytes: offsetBytes < 0 ? lostOffsetBytes : BigInt(offsetBytes),
        packetSizeBits: index.packetSizeBits,
        contentSizeBits: index.contentSizeBits,
        timestampBeginCycles: index.timestampBeginCycles,
        timestampEndCycles: index.timestampEndCycles,
        eventsDiscarded: index.eventsDiscarded,
        streamClassId: index.streamClassId,
        streamInstanceId: index.streamInstanceId ?? none,
        packetSeqNum: index.packetSeqNum ?? none,
      },
      this.#gathered,
      this.#gatheredBytes,
    );
  }

  /** Writes what was gathered; `done` when it is in the file. Nothing is visible to readers before `commit`. */
  flush(done: (error?: MillraceError) => void): void {
    const bytes = this.#gatheredBytes;
    const ranges = [this.#gathered.subarray(0, bytes)];
    this.#gatheredBytes = 0;
    this.file.append(ranges, bytes, done);
    // A write that has to wait keeps the buffer; the next records go into another one.
    if (!this.file.idle) this.#gathered = Buffer.allocUnsafe(gatherRecords * this.#format.recordSizeBytes);
  }

  /** Lets readers see `records` more. */
  commit(records: number): void {
    this.file.commit(
      Math.max(this.file.safeBytes, this.#headerBytes) + records * this.#format.recordSizeBytes,
    );
  }

  /** Cuts the records that readers may not see. Only when idle. */
  cutUncommitted(): void {
    this.file.cut(this.file.safeBytes);
  }

  /** Closes the file; half a record, left by a write that failed, is cut. */
  close(): void {
    const { file } = this;
    const torn = Math.max(0, file.writtenBytes - this.#headerBytes) % this.#format.recordSizeBytes;
    if (file.idle) file.cut(file.writtenBytes - torn);
    file.close();
  }
}
