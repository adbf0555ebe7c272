/**
 * One data file of a stream and the index file beside it. Bytes are written as they come; a packet is committed
 * when its data and its index record are both in their files (durable, where that is asked for), in the order in
 * which packets lie in the data file, so that one lock on `[safe, infinity)` tells a reader everything.
 */
import { existsSync, readSync } from 'node:fs';
import type { MillraceError } from '../errors.ts';
import type { Index } from '../stage/frames.ts';
import { AppendFile } from './append-file.ts';
import { Fifo } from './fifo.ts';
import type { Packet } from './packets.ts';
import { StagedBytes } from './staged-bytes.ts';
import type { StoreContext } from './store-context.ts';
import { StoredFile } from './stored-file.ts';
import type { StoredPackets } from './stored-packets.ts';
import { cutIndexed } from './torn-tail.ts';
import type { AnnouncedTracefile, TracefilePlace } from './tracefile-place.ts';
import { TracefileRecords } from './tracefile-records.ts';

/** Who owns a tracefile. */
export interface TracefileOwner {
  /** These packets are whole in the data file. */
  written(packets: readonly Packet[]): void;
  /** Something was written; these packets, if any, are committed, and readers may see them; `records` is the index's. */
  committed(packets: readonly Packet[], records: number): void;
  /** Bytes of packets are not kept: their place in the file is a hole, which takes neither time nor room. */
  readonly isHollow: boolean;
  /** Told of files whose names go. */
  readonly stored: StoredPackets;
  /** A write failed: the stream is to be given up. */
  fail(error: MillraceError): void;
}

const copyBytes = 65_536;

/** See the file's head. */
export class Tracefile {
  readonly place: TracefilePlace;
  /** What readers within the relay know of it. */
  readonly stored: StoredFile;
  readonly #context: StoreContext;
  readonly #owner: TracefileOwner;
  readonly #file: AppendFile;
  readonly #fileId: number;
  /** undefined: packets need no index. */
  readonly #records: TracefileRecords | undefined;
  readonly #staged: StagedBytes;
  /** Whole packets that readers may not see yet, in the order of the data file. */
  readonly #whole = new Fifo<Packet>();
  /** End of the last packet that is whole in the file. */
  #wholeBytes = 0;
  /** A record tells of a packet that is not here. */
  #hasLost = false;
  #syncing = false;
  #syncAgain = false;
  #closed = false;

  /**
   * Creates the data file, in place of one of that name if there is one, or goes on with that. Errors:
   * MR_ERR_DISK_CREATE.
   */
  constructor(announced: AnnouncedTracefile, context: StoreContext, owner: TracefileOwner) {
    const { place, format, fileId, continues } = announced;
    this.place = place;
    this.#context = context;
    this.#owner = owner;
    this.#staged = new StagedBytes(owner.isHollow);
    const { chunk, components, name } = place;
    const path = [...components, name];
    const { directory } = chunk.directory(components);
    if (!continues) chunk.replaceFile(path);
    // A reader must never find a new data file beside the index of the one that it replaces. If we die between the
    // two, the journal says that data without an index is to go.
    context.journal.settle();
    const indexPath = [...components, 'index', `${name}.idx`];
    const index = `${directory}/index/${name}.idx`;
    // nothing is to be torn here; a wrong end would spoil everything behind it
    if (continues) cutIndexed(`${directory}/${name}`, index, context.env.locks);
    else if (format !== undefined) chunk.removeFile(indexPath);
    const directoryNow = () => chunk.directory(components).directory;
    this.#file = new AppendFile(directory, name, context.env, { directoryNow, continues });
    this.stored = new StoredFile(directoryNow, name, format, context.env);
    chunk.addFile(path, {
      replaced: () => owner.stored.vanish(this.stored),
      cleared: () => owner.stored.cleared(this.stored),
    });
    this.#fileId = fileId ?? context.journal.fileOpened('data', chunk.number, path.join('/'));
    this.#records = format && new TracefileRecords(place, format, context, owner);
    if (continues && existsSync(index)) this.#foundRecords();
  }

  /** What is there already is committed. */
  #foundRecords(): void {
    const records = this.#records?.continue() ?? 0;
    this.#wholeBytes = this.#file.writtenBytes;
    this.#hasLost = records > 0;
    this.stored.committedBytes = this.#wholeBytes;
    this.stored.records = records;
  }

  /** End of the file once everything taken is written. */
  get endBytes(): number {
    return this.#file.acceptedBytes + this.#staged.length;
  }

  get committedBytes(): number {
    return this.#file.safeBytes;
  }

  /** Bytes of packets that are not whole. */
  get tornBytes(): number {
    return this.#file.writtenBytes - this.#wholeBytes;
  }

  /** Whole packets that are not committed, in the order of the file. */
  get uncommitted(): Fifo<Packet> {
    return this.#whole;
  }

  /** No write is under way. */
  get idle(): boolean {
    return this.#file.idle && this.#staged.length === 0 && !this.#syncing && this.#records?.idle !== false;
  }

  /** Whether so much is staged that it should be flushed before more comes. */
  get full(): boolean {
    return this.#staged.full;
  }

  /** Stages bytes of a packet; they are borrowed until the `done` of the next `flush`. */
  push(range: Buffer): void {
    this.#staged.push(range);
  }

  /** Stages the padding of a packet; a long one makes the file `full`. */
  pad(bytes: number): void {
    this.#staged.pad(bytes);
  }

  /** The packet ends with what was staged last. */
  end(packet: Packet): void {
    this.#staged.end(packet);
  }

  /** Writes what was staged; `done` when the bytes are free again. */
  flush(done: () => void): void {
    const staged = this.#staged.take();
    if (staged === undefined) {
      done();
      return;
    }
    const { ranges, rangeBytes, holeBytes, ending } = staged;
    const written = (error?: MillraceError) => {
      if (error !== undefined) this.#owner.fail(error);
      else if (ending.length > 0) this.#written(ending);
      done();
    };
    this.#file.append(ranges, rangeBytes, written, holeBytes);
  }

  #written(packets: Packet[]): void {
    this.#wholeBytes = (packets.at(-1) as Packet).endBytes;
    const records = this.#records;
    for (const packet of packets) {
      packet.recorded = records === undefined;
      this.#whole.push(packet);
    }
    if (records?.open() === false) return;
    this.#owner.written(packets);
    if (records !== undefined) return;
    if (this.#context.durability === 'none') this.#commit();
    else this.#context.dirty.add(this);
  }

  /** A packet that is whole here has its index: its record leaves with the batch. */
  record(packet: Packet): void {
    this.#records?.add(packet);
    this.#context.dirty.add(this);
  }

  /** A packet that was announced will never come: its record says so, between those of its neighbours. */
  recordLost(index: Index): void {
    if (this.#records?.open() !== true) return;
    this.#hasLost = true;
    const { netSeqNum } = index;
    const endBytes = this.#wholeBytes;
    const packet = { netSeqNum, tracefile: this, startBytes: -1, endBytes, index, recorded: false };
    this.#whole.push(packet);
    this.record(packet);
  }

  /** No record will come for a packet that is whole here: what lies behind it does not wait any longer. */
  pass(packet: Packet): void {
    packet.recorded = true;
    this.#context.dirty.add(this);
  }

  /** Cuts what has come of a packet whose rest never will. Only between writes. */
  cutTorn(): void {
    this.#file.cut(this.#wholeBytes);
  }

  /** Another file has taken this one's name: it serves those who have it open. */
  replaced(): void {
    this.#records?.replaced();
  }

  /** Writes the records of complete packets, or asks for the sync point that must come first. */
  flushIndex(): void {
    if (this.#closed) return;
    const { durability, unsynced } = this.#context;
    if (durability === 'none') this.#writeRecords(() => this.#commit());
    else if (durability === 'packet') this.syncPoint();
    else unsynced.add(this);
  }

  #writeRecords(done: () => void, durableBytes: number = Number.POSITIVE_INFINITY): void {
    if (this.#records === undefined) done();
    else this.#records.write(durableBytes, done);
  }

  /**
   * Makes durable what is complete, then commits it: data first, then the records that point at it, for a
   * record must never outlive its packet. Calls that come meanwhile are served together afterwards.
   */
  syncPoint(): void {
    if (this.#context.durability === 'none' || this.#closed) return;
    if (this.#syncing) {
      this.#syncAgain = true;
      return;
    }
    if (this.#records?.waiting !== true && this.#whole.first?.recorded !== true) return;
    this.#syncing = true;
    const durableBytes = this.#file.writtenBytes;
    const step = (next: () => void) => (error?: MillraceError) => {
      if (error === undefined) {
        next();
        return;
      }
      this.#syncing = false;
      this.#owner.fail(error);
    };
    const synced = () => {
      this.#syncing = false;
      this.#commit(durableBytes);
      if (!this.#syncAgain) return;
      this.#syncAgain = false;
      this.syncPoint();
    };
    const syncRecords = () => {
      if (this.#records === undefined) synced();
      else this.#records.sync(step(synced));
    };
    this.#file.sync(step(() => this.#writeRecords(syncRecords, durableBytes)));
  }

  /** Lets readers see what is complete and lies before `durableBytes`: the data first, then the records. */
  #commit(durableBytes: number = Number.POSITIVE_INFINITY): void {
    if (this.#closed) return;
    const packets = this.#whole.takeWhile(({ recorded, endBytes }) => recorded && endBytes <= durableBytes);
    const last = packets.at(-1);
    let records = 0;
    if (last !== undefined) {
      this.#file.commit(last.endBytes);
      records = this.#records?.commit(last.endBytes) ?? 0;
      this.stored.committedBytes = last.endBytes;
      this.stored.records += records;
      if (this.#records === undefined) this.#context.journal.fileCommitted(this.#fileId, last.endBytes);
    }
    this.#owner.committed(packets, records);
  }

  /**
   * Moves what is not committed to the end of `to`. Both files must be idle; packets are told where they are by the
   * caller, through `adopt`. Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE.
   */
  moveOut(to: Tracefile): void {
    const { safeBytes, writtenBytes, descriptor } = this.#file;
    const piece = Buffer.allocUnsafe(copyBytes);
    for (let at = safeBytes; at < writtenBytes; ) {
      const bytes = readSync(descriptor, piece, 0, Math.min(copyBytes, writtenBytes - at), at);
      to.#file.appendNow(piece.subarray(0, bytes));
      at += bytes;
    }
    this.#whole.clear();
    this.#records?.forget();
    this.#wholeBytes = safeBytes;
    this.#file.cut(safeBytes);
  }

  /** Takes in packets whose bytes have moved here; those that are complete get their records with the next flush. */
  adopt(packets: readonly Packet[]): void {
    if (packets.length === 0 || this.#records?.open() !== true) return;
    for (const packet of packets) {
      packet.recorded = false;
      this.#whole.push(packet);
      this.#wholeBytes = packet.endBytes;
      if (packet.index !== undefined) this.#records.add(packet);
    }
  }

  /** Unlinks the data file: nothing of it is left after a move. */
  remove(): void {
    const { chunk, components, name } = this.place;
    chunk.removeFile([...components, name]);
  }

  /** Whether closing it changes nothing that has a name: nothing is to be cut, no index file to go. */
  get closesAsItIs(): boolean {
    return this.tornBytes === 0 && this.#records?.isVoid(this.#isEmpty) !== true;
  }

  /** No packet is left in it, nor a record of one that was lost. */
  get #isEmpty(): boolean {
    return this.#wholeBytes === 0 && !this.#hasLost;
  }

  /** Closes both files when their writes are through; what is no whole packet is cut. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.dirty.delete(this);
    this.#context.unsynced.delete(this);
    this.#file.cut(this.#wholeBytes);
    this.#file.close();
    const { journal } = this.#context;
    if (this.#records === undefined) {
      journal.fileClosed(this.#fileId);
      this.#finished(0);
      return;
    }
    // The journal's file stands for both until the last record is written.
    this.#records.write(Number.POSITIVE_INFINITY, () => {
      journal.fileClosed(this.#fileId);
      this.#finished(this.#records?.unseen ?? 0);
    });
    this.#records.close(this.#isEmpty);
  }

  /** No lock is on the files any more: readers may see everything that is in them. */
  #finished(records: number): void {
    const { stored } = this;
    stored.finished = true;
    stored.records += records;
    if (records > 0) stored.committedBytes = this.#wholeBytes;
    this.#owner.committed([], records);
    this.#owner.stored.changed();
  }
}
