/** Holds the index of a data stream file against its packets, both in the order of the file. */
import { type IndexRecord, lostOffsetBytes } from '../../ctf/index-file.ts';
import type { PacketHeader, PacketReader } from '../../ctf/packet-header.ts';
import type { Damage, ScannedPacket } from '../../ctf/packet-scan.ts';
import type { IndexRecords, PlacedRecord } from './index-records.ts';
import type { FaultCode } from './report.ts';

type Tell = (code: FaultCode, text: string, offsetBytes?: number) => void;

const compared = [
  'packetSizeBits',
  'contentSizeBits',
  'timestampBeginCycles',
  'timestampEndCycles',
  'eventsDiscarded',
  'streamClassId',
  'streamInstanceId',
  'packetSeqNum',
] as const satisfies readonly (keyof IndexRecord & keyof PacketHeader)[];

/** See the file's head. Errors of all methods: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
export class IndexMatch {
  readonly #records: IndexRecords;
  readonly #reader: PacketReader;
  readonly #tell: Tell;
  /** The index is not as it should be. */
  faulty = false;
  recordsLost = 0;
  #lastOffsetBytes = -1n;
  #unindexed = 0;
  #firstUnindexedBytes = 0;

  constructor(records: IndexRecords, reader: PacketReader, tell: Tell) {
    this.#records = records;
    this.#reader = reader;
    this.#tell = (...fault) => {
      this.faulty = true;
      tell(...fault);
    };
  }

  /** The next packet of the file. */
  async packet({ offsetBytes, header }: ScannedPacket): Promise<void> {
    const next = await this.#upTo(BigInt(offsetBytes));
    if (next?.record.offsetBytes !== BigInt(offsetBytes)) {
      if (this.#unindexed === 0) this.#firstUnindexedBytes = offsetBytes;
      this.#unindexed += 1;
      return;
    }
    this.#take(next);
    const differing = compared.filter((field) => this.#differs(next.record, header, field));
    if (differing.length === 0) return;
    const facts = differing.map(
      (field) => `${field} is ${next.record[field]}, ${header[field]} in the packet`,
    );
    this.#tell(
      'index-mismatch',
      `the record of the packet at ${offsetBytes}: ${facts.join('; ')}`,
      next.atBytes,
    );
  }

  /**
   * The next bytes of the file, which are no packet: records that point there are passed over. Returns whether one of
   * them says that a whole packet begins at their beginning.
   */
  async damage({ offsetBytes, sizeBytes }: Damage, fileBytes: number): Promise<boolean> {
    let whole = false;
    for (;;) {
      const next = await this.#upTo(BigInt(offsetBytes));
      if (next === undefined || next.record.offsetBytes >= BigInt(offsetBytes + sizeBytes)) return whole;
      this.#take(next);
      const endBytes = next.record.offsetBytes + next.record.packetSizeBits / 8n;
      if (next.record.offsetBytes === BigInt(offsetBytes)) whole = endBytes <= BigInt(fileBytes);
      if (endBytes > BigInt(fileBytes))
        this.#tell('index-surplus', `a record of a packet that ends behind the file`, next.atBytes);
    }
  }

  /** The file is at its end. `growing`: packets may be there before their records. */
  async end(growing: boolean): Promise<void> {
    for (;;) {
      // No packet begins there, so every record that is left is passed over.
      const next = await this.#upTo(lostOffsetBytes);
      if (next === undefined) break;
    }
    if (this.#records.tornBytes > 0 && !growing)
      this.#tell('index-torn', `${this.#records.tornBytes} bytes behind the last whole record`);
    if (this.#unindexed > 0 && !growing)
      this.#tell(
        'index-short',
        `${this.#unindexed} packets have no record, the first is at ${this.#firstUnindexedBytes}`,
      );
  }

  /** Passes over lost records and those that point before `offsetBytes`; the next one, not yet taken. */
  async #upTo(offsetBytes: bigint): Promise<PlacedRecord | undefined> {
    for (;;) {
      const next = await this.#records.peek();
      if (next === undefined) return undefined;
      const { record, atBytes } = next;
      if (record.offsetBytes === lostOffsetBytes) {
        this.recordsLost += 1;
        this.#tell('index-lost', 'a record of a packet that never came', atBytes);
      } else if (record.offsetBytes < offsetBytes) {
        const again = record.offsetBytes <= this.#lastOffsetBytes;
        const text = `a record that points at ${record.offsetBytes}, `;
        if (again)
          this.#tell('index-order', `${text}behind one that points at ${this.#lastOffsetBytes}`, atBytes);
        else this.#tell('index-surplus', `${text}where no packet begins`, atBytes);
      } else return next;
      this.#take(next);
    }
  }

  #take({ record }: PlacedRecord): void {
    const { offsetBytes } = record;
    if (offsetBytes !== lostOffsetBytes && offsetBytes > this.#lastOffsetBytes)
      this.#lastOffsetBytes = offsetBytes;
    this.#records.take();
  }

  /** Fields that one of the two does not have are alike; narrow ones are compared in the bits that they have. */
  #differs(record: IndexRecord, header: PacketHeader, field: (typeof compared)[number]): boolean {
    const [indexed, own] = [record[field], header[field]];
    if (indexed === undefined || own === undefined) return false;
    const bits = this.#reader.sizeOfRole(header.streamClassId, field) ?? 64;
    return BigInt.asUintN(bits, indexed) !== BigInt.asUintN(bits, own);
  }
}
