/**
 * The index side of one tracefile: the records of its packets, on their way into the index file beside it. A
 * packet's record waits here from the moment the packet is complete until the batch is through, so that the records
 * of one batch leave in one write.
 */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import type { Index } from '../stage/frames.ts';
import { Fifo } from './fifo.ts';
import { IndexFile } from './index-file.ts';
import type { Packet } from './packets.ts';
import type { StoreContext } from './store-context.ts';
import type { TracefileOwner } from './tracefile.ts';
import type { TracefilePlace } from './tracefile-place.ts';

/** See the file's head. */
export class TracefileRecords {
  readonly #place: TracefilePlace;
  readonly #format: IndexFormat;
  readonly #context: StoreContext;
  readonly #owner: TracefileOwner;
  #file: IndexFile | undefined;
  #replaced = false;
  /** Packets whose records wait to be written. */
  #complete: Packet[] = [];
  /** Packets whose records are in the index file, in its order, and may not be seen yet. */
  readonly #unseen = new Fifo<Packet>();

  constructor(place: TracefilePlace, format: IndexFormat, context: StoreContext, owner: TracefileOwner) {
    this.#place = place;
    this.#format = format;
    this.#context = context;
    this.#owner = owner;
  }

  /** No write is under way. */
  get idle(): boolean {
    return this.#file?.file.idle !== false;
  }

  /** Whether records wait to be written. */
  get waiting(): boolean {
    return this.#complete.length > 0;
  }

  /**
   * Another data file has taken the name, so the index of that name is not ours: a file that was opened is written
   * on for whoever has it open, and none is opened any more.
   */
  replaced(): void {
    // Its name is about to go, while packets may still wait for their records.
    this.#file?.file.keep();
    this.#replaced = true;
  }

  /**
   * The index file appears with the first whole packet. Returns whether it is there; a failure is told to the owner.
   * Source: relay-behaviour, "Index files".
   */
  open(): boolean {
    if (this.#file !== undefined || this.#replaced) return true;
    try {
      this.#open(false);
      return true;
    } catch (error) {
      this.#owner.fail(error as MillraceError);
      return false;
    }
  }

  /** Goes on with the index file that is there. Returns how many records it has. Errors: MR_ERR_DISK_CREATE. */
  continue(): number {
    return this.#open(true).records;
  }

  #open(continues: boolean): IndexFile {
    const { chunk, path, fileName } = this.#indexPlace;
    const { directory } = chunk.directory(path);
    const file = new IndexFile(directory, fileName, this.#format, this.#context.env, {
      directoryNow: () => chunk.directory(path).directory,
      continues,
    });
    this.#file = file;
    chunk.addFile([...path, fileName]);
    file.begin();
    return file;
  }

  /** The packet is whole in the data file and its index is known. */
  add(packet: Packet): void {
    this.#complete.push(packet);
  }

  /** Writes the records of the packets that end at or before `durableBytes`; `done` when they are in the file. */
  write(durableBytes: number, done: () => void): void {
    const packets = this.#takeUpTo(durableBytes);
    const recorded = () => {
      for (const packet of packets) packet.recorded = true;
      done();
    };
    if (packets.length === 0 || this.#file === undefined) {
      recorded();
      return;
    }
    for (const { index, startBytes } of packets) this.#file.add(index as Index, startBytes);
    this.#file.flush((error) => {
      if (error !== undefined) {
        this.#owner.fail(error);
        return;
      }
      for (const packet of packets) this.#unseen.push(packet);
      recorded();
    });
  }

  #takeUpTo(durableBytes: number): Packet[] {
    const complete = this.#complete;
    this.#complete = complete.filter(({ endBytes }) => endBytes > durableBytes);
    return this.#complete.length === 0
      ? complete
      : complete.filter(({ endBytes }) => endBytes <= durableBytes);
  }

  /** Makes durable what is written. */
  sync(done: (error?: MillraceError) => void): void {
    if (this.#file === undefined) done();
    else this.#file.file.sync(done);
  }

  /** Lets readers see the records of packets that end at or before `safeBytes`. Returns how many there are. */
  commit(safeBytes: number): number {
    const { length } = this.#unseen.takeWhile(({ endBytes }) => endBytes <= safeBytes);
    if (length > 0) this.#file?.commit(length);
    return length;
  }

  /** The packets that are not committed have gone elsewhere, with whatever is known of them. */
  forget(): void {
    this.#complete = [];
    this.#unseen.clear();
    // The record of a packet that was complete before the one in front of it.
    this.#file?.cutUncommitted();
  }

  /** Whether there is an index file that is to go when it is closed. `isEmpty`: no packet is left. */
  isVoid(isEmpty: boolean): boolean {
    return this.#file !== undefined && (isEmpty || this.#file.isTorn) && !this.#replaced;
  }

  /** Closes the file when its writes are through, and removes it if it is void. */
  close(isEmpty: boolean): void {
    if (this.#file === undefined) return;
    this.#file.close();
    if (!this.isVoid(isEmpty)) return;
    const { chunk, path, fileName } = this.#indexPlace;
    chunk.removeFile([...path, fileName]);
  }

  /** Records that are in the file and were not committed. */
  get unseen(): number {
    return this.#unseen.size;
  }

  get #indexPlace() {
    const { chunk, components, name } = this.#place;
    return { chunk, path: [...components, 'index'], fileName: `${name}.idx` };
  }
}
