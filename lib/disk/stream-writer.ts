/**
 * Writes one CTF data stream: joins data and indexes, chooses the tracefile of each packet, changes trace chunks
 * at exactly the packet that was asked for, and keeps the ledger that tells how far the stream is.
 *
 * The stream goes over to another trace chunk when nothing before the split is outstanding. Until then everything
 * goes into the old chunk's file; what is found there behind the split is by construction uncommitted, and moves
 * to the new chunk. So every order of data, index and request takes one path.
 */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import type { Data, Inactive, Index, Lost, StreamOpen } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import { lastTracefile } from './last-record.ts';
import { isAfter, Ledger } from './ledger.ts';
import { HalfPackets, type Packet } from './packets.ts';
import type { StoreContext } from './store-context.ts';
import { StoredPackets } from './stored-packets.ts';
import { pathIn, type TraceChunk } from './trace-chunk.ts';
import { type AnnouncedTracefile, announceTracefile, Tracefile, type TracefileOwner } from './tracefile.ts';

/** How a stream begins that was stored in part before. */
export interface StreamResumption {
  /** Of its last packet, wherever that lies; undefined: it has none, or they are not numbered. */
  lastPacketSeqNum: bigint | undefined;
}

/** A change of trace chunks that waits for packets. */
interface PendingSwitch {
  atPacketSeqNum: bigint;
  /** undefined: the stream leaves its chunk for none. */
  next: TraceChunk | undefined;
  done: () => void;
}

/** See the file's head. */
export class StreamWriter implements TracefileOwner {
  readonly stream: StreamOpen;
  readonly ledger = new Ledger();
  /** What is committed, for readers within the relay. */
  readonly stored = new StoredPackets();
  readonly #context: StoreContext;
  readonly #format: IndexFormat | undefined;
  readonly #components: readonly string[];
  readonly #sizeLimitBytes: bigint;
  #chunk: TraceChunk | undefined;
  /** Number of the current tracefile, if they are limited. */
  #fileNumber = 0n;
  /** The file that packets go to; undefined between a rotation to no chunk and the next one. */
  #current: Tracefile | undefined;
  /** In place of the current file, when the stream has gone over to a chunk and its first file there is not made yet. */
  #entering: TraceChunk | undefined;
  /** That file, once the journal knows of it. */
  #announced: AnnouncedTracefile | undefined;
  /** All open files in the order of their packets, the current one last. */
  #files: Tracefile[] = [];
  readonly #staged = new Set<Tracefile>();
  /** The packet whose data is coming. */
  #packet: Packet | undefined;
  readonly #halves: HalfPackets;
  #lastPacketSeqNum: bigint | undefined;
  /** Files that lie in its chunks are gone on with. */
  readonly #continues: boolean;
  /** Packets received when the producer was last told that nothing is pending. */
  #settledPackets = -1;
  #switch: PendingSwitch | undefined;
  #end: { last: bigint | undefined; done: () => void } | undefined;
  #failed: MillraceError | undefined;
  /** What is not whole when it ends will be sent again. */
  comesAgain = false;
  /** A close was asked for; it waits for the writes that are under way. */
  #closing = false;
  #closed = false;

  /**
   * Creates the first data file. `components`: directory of the CTF trace in its chunk, checked. `format`
   * undefined: packets are committed when they are whole (snapshots, producers before 2.4). `resumes`: the stream goes
   * on with what was stored of it before.
   * Errors: MR_ERR_DISK_CREATE.
   */
  constructor(
    stream: StreamOpen,
    chunk: TraceChunk,
    components: readonly string[],
    format: IndexFormat | undefined,
    context: StoreContext,
    resumes?: StreamResumption,
  ) {
    this.stream = stream;
    this.#continues = resumes !== undefined;
    this.#lastPacketSeqNum = resumes?.lastPacketSeqNum;
    this.#halves = new HalfPackets(stream.stream);
    this.#context = context;
    this.#format = format;
    this.#components = components;
    this.#sizeLimitBytes = stream.tracefileSizeBytes;
    this.#openFirst(chunk);
  }

  get name(): string {
    return this.stream.channelName;
  }

  /** Directory of its CTF trace, relative to the output directory. */
  get path(): string {
    return pathIn(this.#chunk, this.#components);
  }

  /** Whether packets need an index. */
  get isIndexed(): boolean {
    return this.#format !== undefined;
  }

  get failed(): MillraceError | undefined {
    return this.#failed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether packets have a file to go to. */
  get hasFile(): boolean {
    return this.#current !== undefined || this.#entering !== undefined;
  }

  get committedBytes(): number {
    if (this.#entering !== undefined) return 0;
    return this.#current?.committedBytes ?? this.ledger.stored.bytes;
  }

  get halfPackets(): number {
    return this.#halves.size;
  }

  /** Whether so much is staged that it should be flushed before more comes. */
  get full(): boolean {
    return this.#current?.full === true;
  }

  /** Whether a change of trace chunks waits for packets. */
  get switching(): boolean {
    return this.#switch !== undefined;
  }

  /** Whether an index has come whose packet is still under way. */
  get awaitsData(): boolean {
    return this.#halves.announced().next().done === false;
  }

  /**
   * Takes one frame of a batch; `bytes` is the slab's memory, borrowed until the `done` of the next `flush`.
   * Errors: MR_ERR_DISK_CREATE for the next tracefile.
   */
  stage(frame: Data, bytes: Buffer): void {
    if (this.#packet === undefined) this.enter();
    if (this.#failed !== undefined || this.#closing) return;
    if (this.#packet === undefined) {
      if (frame.offsetBytes > 0) return;
      if (this.#current === undefined) {
        this.#lose('no trace chunk', 1, frame.dataSizeBytes);
        return;
      }
      this.#packet = this.#begin(frame, this.#current);
    }
    const tracefile = this.#packet.tracefile as Tracefile;
    if (frame.end > frame.start) tracefile.push(bytes.subarray(frame.start, frame.end));
    this.#staged.add(tracefile);
    if (!frame.last) return;
    if (frame.paddingSizeBytes > 0) tracefile.pad(frame.paddingSizeBytes);
    this.#packet.endBytes = tracefile.endBytes;
    tracefile.end(this.#packet);
    this.#packet = undefined;
  }

  /** A packet begins: in the current tracefile, or in the next one if it would grow beyond its size. */
  #begin(frame: Data, current: Tracefile): Packet {
    const limit = this.#sizeLimitBytes;
    let tracefile = current;
    // While a change of chunks is pending the file stays, so that the split lies in it.
    if (limit > 0n && this.#switch === undefined && current.endBytes > 0) {
      if (BigInt(current.endBytes + frame.dataSizeBytes) > limit) tracefile = this.#nextFile();
    }
    const { netSeqNum } = frame;
    return {
      netSeqNum,
      tracefile,
      startBytes: tracefile.endBytes,
      endBytes: -1,
      index: undefined,
      recorded: false,
    };
  }

  /** The next file of the ring; a count of 0 means that numbers go on without end. */
  #nextFile(): Tracefile {
    const count = this.stream.tracefileCount;
    this.#fileNumber += 1n;
    const wraps = count > 0n && this.#fileNumber >= count;
    if (wraps) this.#fileNumber = 0n;
    return this.#openFile(this.#chunk as TraceChunk);
  }

  #openFile(chunk: TraceChunk): Tracefile {
    return this.#makeFile(this.#announce(chunk));
  }

  /** The first file in a chunk, or the last one of those that are there already. */
  #openFirst(chunk: TraceChunk): Tracefile {
    return this.#makeFile(this.#announceFirst(chunk));
  }

  #announceFirst(chunk: TraceChunk): AnnouncedTracefile {
    const { channelName } = this.stream;
    if (this.#continues && this.#sizeLimitBytes > 0n)
      this.#fileNumber = lastTracefile(chunk.directory(this.#components).directory, channelName);
    return this.#announce(chunk, this.#continues);
  }

  #announce(chunk: TraceChunk, continues = false): AnnouncedTracefile {
    const { channelName: stream } = this.stream;
    const name = this.#sizeLimitBytes > 0n ? `${stream}_${this.#fileNumber}` : stream;
    for (const tracefile of this.#files)
      if (tracefile.place.chunk === chunk && tracefile.place.name === name) tracefile.replaced();
    const place = { chunk, components: this.#components, name };
    return announceTracefile(place, this.#format, this.#context, continues);
  }

  #makeFile(announced: AnnouncedTracefile): Tracefile {
    const tracefile = new Tracefile(announced, this.#context, this);
    this.#chunk = announced.place.chunk;
    this.#files.push(tracefile);
    this.#current = tracefile;
    this.stored.add(tracefile.stored);
    this.stored.committed(tracefile.stored.records);
    return tracefile;
  }

  /** Tells the journal of the file that `enter` is to make. A failure gives the stream up. */
  announce(): void {
    const chunk = this.#entering;
    if (chunk === undefined) return;
    try {
      this.#announced ??= this.#announceFirst(chunk);
    } catch (error) {
      this.#entering = undefined;
      this.fail(error as MillraceError);
    }
  }

  /**
   * Makes the first file in the chunk that the stream has gone over to, if that is still to be done. A failure gives
   * the stream up.
   */
  enter(): void {
    if (this.#entering === undefined) return;
    this.#context.entering.delete(this);
    this.announce();
    const announced = this.#announced;
    this.#entering = this.#announced = undefined;
    if (announced === undefined) return;
    try {
      this.#makeFile(announced);
    } catch (error) {
      this.fail(error as MillraceError);
    }
  }

  /** Writes what was staged; `done` when the slab is free again, with the error that failed the stream. */
  flush(done: (error?: MillraceError) => void): void {
    let outstanding = 1;
    const one = () => {
      outstanding -= 1;
      if (outstanding > 0) return;
      this.#tryChange();
      done(this.#failed);
    };
    const staged = [...this.#staged];
    this.#staged.clear();
    for (const tracefile of staged) {
      outstanding += 1;
      tracefile.flush(one);
    }
    one();
  }

  /** Packets are whole in a data file: their data half has come. */
  written(packets: readonly Packet[]): void {
    const { totals } = this.#context;
    for (const packet of packets) {
      const { netSeqNum, startBytes, endBytes, tracefile } = packet;
      this.ledger.packets += 1;
      this.ledger.bytes += endBytes - startBytes;
      this.ledger.advance('received', netSeqNum, endBytes);
      totals.packets += 1;
      totals.bytes += endBytes - startBytes;
      if (this.#format === undefined) continue;
      try {
        if (this.#halves.addData(packet) && !this.#isBehindSplit(packet.index as Index))
          tracefile?.record(packet);
      } catch (error) {
        this.fail(error as MillraceError);
        return;
      }
    }
  }

  /**
   * The index half has come. Errors: MR_ERR_RELAY_INDEX for a second index of a packet that is not complete,
   * or for more incomplete packets than the ceiling allows; what failed the stream before.
   */
  index(index: Index): void {
    if (this.#failed !== undefined) throw this.#failed;
    this.ledger.advance('indexed', index.netSeqNum, this.ledger.indexed.bytes);
    this.ledger.beacon.index(index);
    if (this.#format === undefined) return;
    const packet = this.#halves.addIndex(index);
    // Behind a split that is pending, the record belongs into a file that is not there yet.
    if (packet !== undefined && !this.#isBehindSplit(index)) packet.tracefile?.record(packet);
    if (this.#switch !== undefined) this.#tryChange();
  }

  /** A live beacon: nothing happened until then. */
  inactive(beacon: Inactive): void {
    if (this.ledger.beacon.inactive(beacon)) this.stored.changed();
  }

  /** A packet that will never come whole, nor its index. Only between writes: what is staged was flushed before. */
  lose({ netSeqNum, cause, index }: Lost): void {
    if (this.#failed !== undefined || this.#closing) return;
    const half = this.#halves.take(netSeqNum);
    const torn = this.#packet?.netSeqNum === netSeqNum ? this.#packet : undefined;
    this.#lose(cause, 1, torn?.tracefile?.tornBytes ?? 0);
    this.#packet = torn === undefined ? this.#packet : undefined;
    torn?.tracefile?.cutTorn();
    const announced = index ?? half?.index;
    if (half !== undefined && half.endBytes >= 0) half.tracefile?.pass(half);
    else if (announced !== undefined) this.#current?.recordLost(announced);
    this.#tryChange();
  }

  #isBehindSplit({ packetSeqNum }: Index): boolean {
    return (
      this.#switch?.next !== undefined &&
      packetSeqNum !== undefined &&
      packetSeqNum >= this.#switch.atPacketSeqNum
    );
  }

  committed(packets: readonly Packet[], records: number): void {
    for (const { netSeqNum, endBytes, index } of packets) {
      this.ledger.advance('stored', netSeqNum, endBytes);
      if (index?.packetSeqNum !== undefined) this.#lastPacketSeqNum = index.packetSeqNum;
    }
    if (this.#context.durability !== 'none') this.ledger.synced = this.ledger.stored;
    this.stored.committed(records);
    this.#tryChange();
  }

  /** After any progress: closes what is finished, and does what waited for it. */
  #tryChange(): void {
    if (this.#closing) {
      this.#close();
      return;
    }
    while (
      this.#files.length > 1 &&
      this.#files[0] !== this.#packet?.tracefile &&
      isDrained(this.#files[0] as Tracefile)
    )
      this.#files.shift()?.close();
    this.#trySwitch();
    this.#tryEnd();
  }

  /**
   * Whether packets up to `last` (2^64-1: none) are still missing or not committed. Source: relay-protocol,
   * "Data pending", with the highest complete number in place of the latest arrival.
   */
  isPending(last: bigint): boolean {
    if (this.#failed !== undefined) return false;
    const pending = isAfter(last, this.ledger.stored.netSeqNum ?? -1n) || this.#isOutstanding(last);
    if (pending) for (const tracefile of this.#files) tracefile.syncPoint();
    else {
      this.#settledPackets = this.ledger.packets;
      if (this.#switch !== undefined) this.#trySwitch();
    }
    return pending;
  }

  #isOutstanding(last: bigint): boolean {
    for (const number of this.#halves.numbers()) if (!isAfter(number, last)) return true;
    for (const { uncommitted } of this.#files)
      for (const { netSeqNum } of uncommitted) if (!isAfter(netSeqNum, last)) return true;
    return false;
  }

  /**
   * The stream goes over to `next` (undefined: to no chunk) at the first packet whose packet_seq_num is at least
   * `atPacketSeqNum`; `done` when it has. At most one such change at a time.
   */
  switchTo(atPacketSeqNum: bigint, next: TraceChunk | undefined, done: () => void): void {
    this.enter();
    if (this.#closed) {
      done();
      return;
    }
    // Only a stopped session goes over to no chunk, and one that has none is stopped: that nothing was pending tells
    // then that nothing comes. A running session may have been asked long ago.
    if (next !== undefined && this.#current !== undefined) this.#settledPackets = -1;
    this.#switch = { atPacketSeqNum, next, done };
    this.#tryChange();
  }

  #trySwitch(): void {
    const pending = this.#switch;
    if (pending === undefined || this.#closing) return;
    const whole = this.#files.find(({ uncommitted }) => uncommitted.size > 0)?.uncommitted.first;
    const first = whole ?? this.#packet;
    if (!this.#isSplit(pending, first)) {
      // What lies before the split must be committed first.
      if (first?.index !== undefined) for (const tracefile of this.#files) tracefile.syncPoint();
      return;
    }
    if (!this.#files.every(({ idle }) => idle)) return;
    this.#switch = undefined;
    try {
      this.#change(pending.next, first);
    } catch (error) {
      this.fail(error as MillraceError);
    }
    pending.done();
  }

  /**
   * Whether `first`, the first packet that is not committed, lies behind the split; undefined: nothing does, and the
   * stream may go over where its file ends.
   */
  #isSplit({ atPacketSeqNum: at, next }: PendingSwitch, first: Packet | undefined): boolean {
    const reached = isReached(this.#lastPacketSeqNum, at);
    // Only a stopped session goes over to no chunk, and one that has none is stopped: that nothing is pending tells
    // then that nothing comes. A running session may have been asked long ago.
    const stopped = next === undefined || this.#current === undefined;
    const settled = stopped && this.#settledPackets === this.ledger.packets;
    if (first === undefined && this.#halves.size === 0) return reached || settled;
    // Without a next chunk there is no file for it: what has come, and what was announced, stays.
    if (next === undefined) return false;
    return reached || (first?.index?.packetSeqNum ?? -1n) >= at;
  }

  /** Files change: what is not committed moves, packet by packet, into the first file of the next chunk. */
  #change(next: TraceChunk | undefined, first: Packet | undefined): void {
    const old = [...this.#files];
    const moving = first === undefined ? [] : old.slice(old.indexOf(first.tracefile as Tracefile));
    this.#fileNumber = 0n;
    this.stored.leaveChunk();
    if (next === undefined || first === undefined) {
      // Nothing has to be there yet: the old chunk need not wait until new files are made.
      this.#entering = next;
      this.#announced = undefined;
      if (next !== undefined) this.#context.entering.add(this);
      this.#chunk = next;
      this.#current = undefined;
      this.#files = [];
    } else {
      const to = this.#openFirst(next);
      this.#files = [to];
      for (const tracefile of moving) {
        this.#moveOut(tracefile, to);
        if (tracefile !== moving[0]) tracefile.remove();
      }
    }
    for (const tracefile of old) tracefile.close();
    this.#current?.flushIndex();
  }

  /** Moves the packets of a tracefile that are not committed, and the one whose data is coming. */
  #moveOut(tracefile: Tracefile, to: Tracefile): void {
    const packets = [...tracefile.uncommitted];
    const unfinished = this.#packet?.tracefile === tracefile ? [this.#packet] : [];
    const movedBytes = to.endBytes - tracefile.committedBytes;
    tracefile.moveOut(to);
    for (const packet of [...packets, ...unfinished]) {
      packet.tracefile = to;
      if (packet.startBytes >= 0) packet.startBytes += movedBytes;
      if (packet.endBytes >= 0) packet.endBytes += movedBytes;
    }
    to.adopt(packets);
  }

  /**
   * The producer has finished with this stream: `done` when the packets up to `last` (undefined: none was
   * sent) are committed, or at once if they are.
   */
  end(last: bigint | undefined, done: () => void): void {
    if (this.#closed) {
      done();
      return;
    }
    this.#end = { last, done };
    for (const tracefile of this.#files) tracefile.syncPoint();
    this.#tryEnd();
  }

  #tryEnd(): void {
    const end = this.#end;
    if (end === undefined || this.#closing) return;
    if (end.last !== undefined && this.isPending(end.last)) return;
    if (end.last === undefined && (this.#halves.size > 0 || !this.#files.every(isDrained))) return;
    this.#close();
  }

  /** No more data will come, and what is missing is not waited for; `done` when the files are closed. */
  abandon(done: () => void): void {
    if (this.#closed) {
      done();
      return;
    }
    this.#end = { last: undefined, done };
    this.#close();
  }

  /** As soon as no write is under way: an index without its packet is a lost packet, a torn packet is cut. */
  #close(): void {
    this.#closing = true;
    if (this.#failed === undefined) this.enter();
    if (this.#closed) return;
    if (!this.#files.every(({ idle }) => idle)) return;
    this.#closed = true;
    const lost = new Set([...this.#halves.announced()].map(({ netSeqNum }) => netSeqNum));
    if (this.#packet !== undefined) lost.add(this.#packet.netSeqNum);
    // of a session that may be taken up again they come once more
    if (lost.size > 0 && !this.comesAgain) this.#lose('unfinished', lost.size, this.#current?.tornBytes ?? 0);
    this.#halves.clear();
    for (const tracefile of this.#files) tracefile.close();
    this.#files = [];
    this.#current = undefined;
    this.#entering = this.#announced = undefined;
    this.#context.entering.delete(this);
    this.#switch?.done();
    this.#switch = undefined;
    this.stored.end();
    this.#end?.done();
  }

  /** Gives the stream up, after a failed write for instance: what was whole stays, the torn tail is cut. */
  fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.stored.failed = true;
    this.#packet = undefined;
    this.#lose(error.code, 1, this.#current?.tornBytes ?? 0);
    this.#close();
  }

  #lose(cause: string, packets: number, bytes: number): void {
    this.ledger.lostPackets += packets;
    this.ledger.lostBytes += bytes;
    this.#context.lose(cause, packets, bytes);
    tell('error', 'disk:lost', `${this.path}/${this.name}: ${packets} packets lost (${cause})`, {
      cause,
      packets,
      bytes,
    });
  }
}

/** Nothing of the file waits for an index or a sync. */
function isDrained({ idle, uncommitted }: Tracefile): boolean {
  return idle && uncommitted.size === 0;
}

/** Whether the packet after `last` belongs behind a split at `at`. Numbers may jump over it, never back. */
function isReached(last: bigint | undefined, at: bigint): boolean {
  return at === 0n || (last !== undefined && last + 1n >= at);
}
