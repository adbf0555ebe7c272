/**
 * The packets of one data stream in the order of its files: where each lies, and what its index record says. From the
 * index file where there is one; packets behind its end, and files without one, are found by their headers.
 */
import { join } from 'node:path';
import { type IndexRecord, lostOffsetBytes } from '../ctf/index-file.ts';
import type { PacketHeader, PacketReader } from '../ctf/packet-header.ts';
import { scanPackets } from '../ctf/packet-scan.ts';
import { CommittedFile, type CooperativeOptions, type Extent } from '../disk/committed-file.ts';
import { IndexRecords } from '../disk/verify/index-records.ts';
import { MillraceError } from '../errors.ts';
import type { Index } from '../stage/frames.ts';
import type { Packets } from './packet-window.ts';

/** An index frame without what only its stream knows. */
export type PacketFacts = Omit<Index, 'kind' | 'stream' | 'netSeqNum' | 'metadataPositionBytes'>;

/** A packet in a file; `file` undefined: one that never came, of which only the record is there. */
export interface SourcePacket {
  file: CommittedFile | undefined;
  offsetBytes: number;
  sizeBytes: number;
  facts: PacketFacts;
  /** Why there is no file, where no record says so. */
  lost?: { cause: string; isAnnounced: boolean };
}

/** Where the files of a trace lie, and who is told of bytes that are no packet. */
export interface CursorOptions extends CooperativeOptions {
  /** Absolute. */
  directory: string;
  reader: PacketReader;
  damaged(error: MillraceError): void;
}

const gatherPackets = 256;

/** See the file's head. `head` is the next packet; `take` passes it, and `fill` finds more when it was the last known. */
export class PacketCursor implements Packets {
  readonly #options: CursorOptions;
  readonly #names: string[];
  #packets: SourcePacket[] = [];
  #at = 0;
  #file: AsyncGenerator<SourcePacket, void> | undefined;
  readonly #open = new Set<CommittedFile>();
  readonly #closing = new Set<CommittedFile>();

  /** `names`: data files of the directory, in order. Nothing is opened before `fill`. */
  constructor(names: readonly string[], options: CursorOptions) {
    this.#names = [...names];
    this.#options = options;
  }

  /** The next packet; undefined: `fill` must be called, or there is none. */
  get head(): SourcePacket | undefined {
    return this.#packets[this.#at];
  }

  take(): void {
    this.#at += 1;
  }

  /** Finds the next packets, if `head` is not known. Errors: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
  async fill(most = gatherPackets): Promise<void> {
    if (this.head !== undefined) return;
    this.#packets = [];
    this.#at = 0;
    while (this.#packets.length < most) {
      this.#file ??= this.#nextFile();
      if (this.#file === undefined) return;
      const { value, done } = await this.#file.next();
      if (done) this.#file = undefined;
      else this.#packets.push(value);
    }
  }

  /** Closes the files whose packets have all been taken and read. */
  async passed(): Promise<void> {
    if (this.#closing.size === 0) return;
    const files = [...this.#closing].filter(
      (file) => !this.#packets.slice(this.#at).some((p) => p.file === file),
    );
    for (const file of files) {
      this.#closing.delete(file);
      await file.close();
    }
  }

  async close(): Promise<void> {
    await this.#file?.return();
    const files = [...this.#open, ...this.#closing];
    this.#open.clear();
    this.#closing.clear();
    for (const file of files) await file.close();
  }

  #nextFile(): AsyncGenerator<SourcePacket, void> | undefined {
    const name = this.#names.shift();
    return name === undefined ? undefined : this.#packetsOf(name);
  }

  async *#packetsOf(name: string): AsyncGenerator<SourcePacket, void> {
    const { directory } = this.#options;
    const path = join(directory, name);
    // The index before the data: whatever a record points at that is committed now, will be found.
    const index = await this.#opened(join(directory, 'index', `${name}.idx`));
    const indexExtent = await index?.extent(0);
    const data = await this.#opened(path);
    if (data === undefined) throw new MillraceError('MR_ERR_DISK_CHANGED', { path });
    const extent = await data.extent(0);
    let fromBytes = 0;
    const records = index && indexExtent && (await this.#records(index, indexExtent));
    if (records !== undefined) {
      fromBytes = yield* this.#indexed(records, data, extent);
      await this.#done(index as CommittedFile);
    }
    // Packets without a record, where somebody writes, are not committed.
    if (records === undefined || !extent.writing) yield* this.#scanned(data, fromBytes, extent);
    this.#open.delete(data);
    this.#closing.add(data);
  }

  async #opened(path: string): Promise<CommittedFile | undefined> {
    const file = await CommittedFile.open(path, this.#options);
    if (file !== undefined) this.#open.add(file);
    return file;
  }

  async #done(file: CommittedFile): Promise<void> {
    this.#open.delete(file);
    await file.close();
  }

  async #records(index: CommittedFile, extent: Extent): Promise<IndexRecords | undefined> {
    try {
      return await IndexRecords.open(index, extent);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'MR_ERR_DISK_READ') throw error;
      // The packets say the same; an index that is only begun, or broken, is made anew from them.
      if (!extent.writing) this.#options.damaged(error);
      await this.#done(index);
      return undefined;
    }
  }

  /** Returns where the last packet ends that has a record. */
  async *#indexed(
    records: IndexRecords,
    data: CommittedFile,
    { endBytes }: Extent,
  ): AsyncGenerator<SourcePacket, number> {
    let lastBytes = 0;
    for (;;) {
      const next = await records.peek();
      if (next === undefined) return lastBytes;
      records.take();
      const packet = packetOf(next.record, data);
      const packetEnd = packet.offsetBytes + packet.sizeBytes;
      if (packet.file !== undefined && packetEnd > endBytes) {
        this.#damaged(data, `a record says that a packet ends at ${packetEnd}, the file at ${endBytes}`);
        continue;
      }
      lastBytes = Math.max(lastBytes, packetEnd);
      yield packet;
    }
  }

  async *#scanned(
    data: CommittedFile,
    fromBytes: number,
    { endBytes }: Extent,
  ): AsyncGenerator<SourcePacket, void> {
    const { reader } = this.#options;
    const read = (at: number, length: number) => data.read(fromBytes + at, length);
    for await (const found of scanPackets(read, endBytes - fromBytes, reader)) {
      const { offsetBytes, sizeBytes } = found;
      if (found.kind === 'packet') {
        const facts = factsOf(found.header, sizeBytes);
        yield { file: data, offsetBytes: fromBytes + offsetBytes, sizeBytes, facts };
      } else {
        const what = found.torn ? 'are the beginning of a packet' : 'are no packet';
        this.#damaged(
          data,
          `${sizeBytes} bytes at ${fromBytes + offsetBytes} ${what}: ${found.error.message}`,
        );
      }
    }
  }

  #damaged({ path }: CommittedFile, why: string): void {
    this.#options.damaged(new MillraceError('MR_ERR_CONSUMER_DAMAGE', { path, why }));
  }
}

/** A packet as its record says. Field by field: this runs for every packet, and a spread costs as much as the rest. */
export function packetOf(record: IndexRecord, data: CommittedFile): SourcePacket {
  const { offsetBytes, packetSizeBits } = record;
  const isLost = offsetBytes === lostOffsetBytes;
  return {
    file: isLost ? undefined : data,
    offsetBytes: isLost ? 0 : Number(offsetBytes),
    sizeBytes: isLost ? 0 : Math.floor(Number(packetSizeBits) / 8),
    facts: {
      packetSizeBits,
      contentSizeBits: record.contentSizeBits,
      timestampBeginCycles: record.timestampBeginCycles,
      timestampEndCycles: record.timestampEndCycles,
      eventsDiscarded: record.eventsDiscarded,
      streamClassId: record.streamClassId,
      streamInstanceId: known(record.streamInstanceId),
      packetSeqNum: known(record.packetSeqNum),
    },
  };
}

/** What says "not counted" in a record. */
function known(value: bigint | undefined): bigint | undefined {
  return value === 0xffff_ffff_ffff_ffffn ? undefined : value;
}

/** The record that a packet without one would have. */
export function factsOf(header: PacketHeader, sizeBytes: number): PacketFacts {
  const packetSizeBits = BigInt(sizeBytes) * 8n;
  const begin = header.timestampBeginCycles ?? 0n;
  return {
    packetSizeBits,
    contentSizeBits: header.contentSizeBits ?? packetSizeBits,
    timestampBeginCycles: begin,
    timestampEndCycles: header.timestampEndCycles ?? begin,
    eventsDiscarded: header.eventsDiscarded ?? 0n,
    streamClassId: header.streamClassId,
    streamInstanceId: header.streamInstanceId,
    packetSeqNum: header.packetSeqNum,
  };
}
