/**
 * One reader's place in the packets of a stream. It goes from file to file, reads each to its end before it moves on,
 * and counts what was overwritten before it came there. It holds the file it is in, and the one whose packet it gave
 * out last, for that packet's bytes are read afterwards.
 */
import { type IndexFormat, type IndexRecord, lostOffsetBytes } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import type { StoredFile } from './stored-file.ts';

/** A packet: its record, and the file that its bytes lie in. */
export interface StoredPacket {
  record: IndexRecord;
  file: StoredFile;
  /** Packets of the stream before it. */
  position: number;
}

/**
 * What taking a packet brought. Undefined without an error: a record that only says that its packet is lost. Errors:
 * MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED; the packet is passed over.
 */
export interface Taken {
  packet: StoredPacket | undefined;
  error?: MillraceError;
}

/** Records that are read together. */
const gatherRecords = 64;

/** See the file's head. */
export class PacketCursor {
  /** Packets of the stream before the next one. */
  position: number;
  /** Packets that were gone before this reader came to them. */
  lostPackets = 0;
  #file: StoredFile | undefined;
  /** Number of the next record in the file. */
  #record: number;
  /** The file of the packet given out last. */
  #given: StoredFile | undefined;
  /** In front of that packet. */
  #before: { record: number; position: number; lostPackets: number } | undefined;
  readonly #onClosed: () => void;
  /** Records `[#gatheredFrom, #gatheredTo)` of the file. */
  #gathered: Buffer | undefined;
  #gatheredFrom = 0;
  #gatheredTo = 0;

  constructor(
    { file, record }: { file: StoredFile | undefined; record: number },
    position: number,
    onClosed: () => void,
  ) {
    this.#file = file;
    this.#record = record;
    this.position = position;
    this.#onClosed = onClosed;
    this.#hold();
  }

  /** Whether there is a packet to take. Moves on to the next file where the last one is read to its end. */
  get available(): boolean {
    for (;;) {
      const file = this.#file;
      if (file === undefined) return false;
      if (!file.isOpenTo(this)) this.#miss(file);
      if (this.#record < file.records) return true;
      if (!file.finished) return false;
      if (file !== this.#given) file.release(this);
      if (file.next === undefined) return false;
      this.#lose(file.lostBehind);
      this.#move(file.next);
    }
  }

  /** Whether nothing is behind it, and nothing will come to the file that it is in. */
  get atEnd(): boolean {
    return !this.available && this.#file?.finished !== false && this.#file?.next === undefined;
  }

  /** Whether what is available can be read now, or has to wait for a descriptor. */
  get ready(): boolean {
    return this.#file?.index.ready === true && this.#file.data.ready;
  }

  /**
   * Takes the next packet; only while `available`, and only after the last one was taken. Promised if its record is
   * not in the page cache.
   */
  take(): Taken | Promise<Taken> {
    const file = this.#file as StoredFile;
    const { recordSizeBytes, header } = file.format as IndexFormat;
    if (this.#record >= this.#gatheredFrom && this.#record < this.#gatheredTo) {
      return { packet: this.#give(file) };
    }
    let taken: Taken | undefined;
    let resolve: ((taken: Taken) => void) | undefined;
    this.#gathered ??= Buffer.allocUnsafeSlow(gatherRecords * recordSizeBytes);
    const from = this.#record;
    const records = Math.min(gatherRecords, file.records - from);
    const at = header.length + from * recordSizeBytes;
    file.index.read(this.#gathered, 0, records * recordSizeBytes, at, (error) => {
      taken = error === undefined ? this.#gave(file, from, records) : this.#failed(error);
      resolve?.(taken);
    });
    return (
      taken ??
      new Promise((whenTaken) => {
        resolve = whenTaken;
      })
    );
  }

  #gave(file: StoredFile, from: number, records: number): Taken {
    this.#gatheredFrom = from;
    this.#gatheredTo = from + records;
    return { packet: this.#give(file) };
  }

  #failed(error: MillraceError): Taken {
    this.#pass();
    this.lostPackets += 1;
    return { packet: undefined, error };
  }

  #give(file: StoredFile): StoredPacket | undefined {
    const { record: layout, recordSizeBytes } = file.format as IndexFormat;
    const at = (this.#record - this.#gatheredFrom) * recordSizeBytes;
    const record = layout.decode(this.#gathered as Buffer, at, at + recordSizeBytes);
    const { position } = this;
    const place = { record: this.#record, position, lostPackets: this.lostPackets };
    this.#pass();
    if (record.offsetBytes === lostOffsetBytes) {
      this.lostPackets += 1;
      return undefined;
    }
    const before = this.#given;
    this.#given = file;
    this.#before = place;
    if (before !== file) before?.release(this);
    return { record, file, position };
  }

  #pass(): void {
    this.#record += 1;
    this.position += 1;
  }

  /**
   * The next packet to take is the one at `position`, or the first behind it that can be read; only forwards, and
   * what is passed over does not count as lost. What was gone before the first packet was taken does.
   */
  seek(position: number): void {
    if (this.#given === undefined && position < this.position) this.lostPackets += this.position - position;
    while (this.position < position && this.available) {
      const file = this.#file as StoredFile;
      const step = Math.min(position - this.position, file.records - this.#record);
      this.#record += step;
      this.position += step;
    }
  }

  /** The packet given out last is the next one again: whoever got it may not have received it. */
  goBack(): void {
    if (this.#before === undefined) return;
    if (this.#file !== this.#given) this.#gatheredFrom = this.#gatheredTo = 0;
    const { record, position, lostPackets } = this.#before;
    // files behind it stay held: it will come there again
    this.#file = this.#given;
    this.#record = record;
    this.position = position;
    this.lostPackets = lostPackets;
  }

  /** The stream has a new file; one that had none begins with it. */
  added(file: StoredFile): void {
    if (this.#file !== undefined) return;
    this.#file = file;
    this.#record = 0;
    this.#hold();
  }

  /** Holds `file` if it is still to be read. */
  claim(file: StoredFile): void {
    if (file === this.#file && this.#record >= file.records) return;
    for (let ahead = this.#file; ahead !== undefined; ahead = ahead.next) if (ahead === file) file.hold(this);
  }

  /** A file is gone: what nobody can read any more need not be remembered, however long this reader takes. */
  vanished(): void {
    this.#file?.forgetLost();
  }

  /** Its file went while it had not begun to read it. */
  #miss(file: StoredFile): void {
    this.#lose(file.records - this.#record);
    this.#record = file.records;
  }

  #lose(packets: number): void {
    this.lostPackets += packets;
    this.position += packets;
  }

  #move(file: StoredFile): void {
    this.#file = file;
    this.#record = 0;
    this.#gatheredFrom = this.#gatheredTo = 0;
    this.#hold();
  }

  #hold(): void {
    this.#file?.hold(this);
  }

  close(): void {
    this.#file?.release(this);
    this.#given?.release(this);
    for (let ahead = this.#file?.next; ahead !== undefined; ahead = ahead.next) ahead.release(this);
    this.#file = this.#given = undefined;
    this.#onClosed();
  }
}
