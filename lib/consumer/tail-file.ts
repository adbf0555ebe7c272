/**
 * A data file that somebody may still be writing, read as far as it is committed whenever it is asked. Records of its
 * index say where its packets lie; where there is never an index, their headers do.
 *
 * It stays the same file wherever a rotation moves it, and when another one takes its name: it is known by its inode.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PacketReader } from '../ctf/packet-header.ts';
import { scanPackets } from '../ctf/packet-scan.ts';
import { CommittedFile, type CooperativeOptions } from '../disk/committed-file.ts';
import { IndexRecords } from '../disk/verify/index-records.ts';
import { MillraceError } from '../errors.ts';
import { factsOf, packetOf, type SourcePacket } from './packet-cursor.ts';

/** What a file must be told when it is asked. */
export interface TailOptions extends CooperativeOptions {
  /** Reads packets of the trace as its metadata is now; undefined: there is none yet. */
  reader(): Promise<PacketReader | undefined>;
  damaged(error: MillraceError): void;
}

/** Looks in which a whole packet is there and no index file, before it is believed that none comes. */
const looksForIndex = 3;
const gatherPackets = 256;

/** See the file's head. */
export class TailFile {
  readonly name: string;
  readonly inode: bigint;
  /** Its directory, as far as is known: the caller follows renames. */
  directory: string;
  /** Whether, when it was asked last, somebody was going to write more. */
  writing = true;
  /** Packets that were found and not taken. */
  readonly found: SourcePacket[] = [];
  readonly #data: CommittedFile;
  readonly #options: TailOptions;
  #index: CommittedFile | undefined;
  #records = 0;
  /** Without an index: end of the last packet, and of what was looked at. */
  #scannedBytes = 0;
  #looks = 0;
  #packetsRead = 0;

  private constructor(
    directory: string,
    name: string,
    data: CommittedFile,
    inode: bigint,
    options: TailOptions,
  ) {
    this.directory = directory;
    this.name = name;
    this.inode = inode;
    this.#data = data;
    this.#options = options;
  }

  /** Opens the file; undefined: it is gone. Errors: MR_ERR_DISK_READ. */
  static async open(directory: string, name: string, options: TailOptions): Promise<TailFile | undefined> {
    const data = await CommittedFile.open(join(directory, name), options);
    if (data === undefined) return undefined;
    return new TailFile(directory, name, data, await data.inode(), options);
  }

  /** Whether any packet has been found. */
  get isEmpty(): boolean {
    return this.#packetsRead === 0;
  }

  /** Whether nothing was taken of what has been found. */
  get isUntouched(): boolean {
    return this.found.length === this.#packetsRead;
  }

  /** Looks for packets behind those that were found before. Errors: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED. */
  async look(): Promise<void> {
    if (this.found.length >= gatherPackets) return;
    this.#data.path = join(this.directory, this.name);
    // Asked before anything is read: what is there when nobody writes is all that will be.
    const before = await this.#data.extent(0);
    if (this.#scannedBytes === 0) this.#index ??= await this.#openIndex();
    if (this.#index !== undefined) {
      // The last records are written when the data file is closed already.
      this.writing = (await this.#lookInIndex(this.#index)) || before.writing;
      return;
    }
    if (before.endBytes > this.#scannedBytes) await this.#lookWithoutIndex(before.endBytes, before.writing);
    this.writing = before.writing;
  }

  async close(): Promise<void> {
    await this.#data.close();
    await this.#index?.close();
  }

  /** The index that lies beside the file, if the file still has its name: then it is its own. */
  async #openIndex(): Promise<CommittedFile | undefined> {
    const index = await CommittedFile.open(join(this.directory, 'index', `${this.name}.idx`), this.#options);
    if (index === undefined) return undefined;
    const named = await stat(join(this.directory, this.name), { bigint: true }).catch(() => undefined);
    if (named?.ino === this.inode) return index;
    await index.close();
    return undefined;
  }

  /** Returns whether somebody was going to write more of it. */
  async #lookInIndex(index: CommittedFile): Promise<boolean> {
    index.path = join(this.directory, 'index', `${this.name}.idx`);
    const extent = await index.extent(0);
    let records: IndexRecords;
    try {
      records = await IndexRecords.open(index, extent, this.#records);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'MR_ERR_DISK_READ') throw error;
      // Its writer has not come to its header yet, or never will.
      return extent.writing;
    }
    const { endBytes } = await this.#data.extent(0);
    while (this.found.length < gatherPackets) {
      const next = await records.peek();
      if (next === undefined) break;
      const packet = packetOf(next.record, this.#data);
      // Released before the record that points at it; but not every writer keeps the order.
      if (packet.file !== undefined && packet.offsetBytes + packet.sizeBytes > endBytes) break;
      records.take();
      this.#records += 1;
      this.#add(packet);
    }
    return extent.writing;
  }

  async #lookWithoutIndex(endBytes: number, writing: boolean): Promise<void> {
    this.#looks += 1;
    if (writing && this.#looks < looksForIndex) return;
    const reader = await this.#options.reader();
    if (reader === undefined) return;
    const from = this.#scannedBytes;
    const read = (at: number, length: number) => this.#data.read(from + at, length);
    for await (const found of scanPackets(read, endBytes - from, reader)) {
      const { offsetBytes, sizeBytes } = found;
      if (found.kind === 'damage' && found.torn) return;
      this.#scannedBytes = from + offsetBytes + sizeBytes;
      if (found.kind === 'packet') {
        const facts = factsOf(found.header, sizeBytes);
        this.#add({ file: this.#data, offsetBytes: from + offsetBytes, sizeBytes, facts });
      } else {
        const why = `${sizeBytes} bytes at ${from + offsetBytes} are no packet: ${found.error.message}`;
        this.#options.damaged(new MillraceError('MR_ERR_CONSUMER_DAMAGE', { path: this.#data.path, why }));
      }
      if (this.found.length >= gatherPackets) return;
    }
  }

  #add(packet: SourcePacket): void {
    this.#packetsRead += 1;
    this.found.push(packet);
  }
}
