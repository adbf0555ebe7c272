/**
 * Writes one CTF data stream: joins data and indexes, changes trace chunks at exactly the packet that was asked for,
 * and keeps the ledger that tells how far the stream is.
 *
 * The stream goes over to another trace chunk when nothing before the split is outstanding. Until then everything
 * goes into the old chunk's file; what is found there behind the split is by construction uncommitted, and moves
 * to the new chunk. So every order of data, index and request takes one path.
 *
 * Its parts: `PacketIntake` (the packet whose data is coming), `HalfPackets` (those that lack a half), `StreamFiles`
 * (where they go) and `ChunkSwitch` (when they go elsewhere).
 */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import type { Data, Inactive, Index, Lost, StreamOpen } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import { ChunkSwitch } from './chunk-switch.ts';
import { isAfter, Ledger } from './ledger.ts';
import { PacketIntake } from './packet-intake.ts';
import { HalfPackets, type Packet } from './packets.ts';
import type { StoreContext } from './store-context.ts';
import { StoredPackets } from './stored-packets.ts';
import { StreamFiles } from './stream-files.ts';
import type { TraceChunk } from './trace-chunk.ts';
import type { TracefileOwner } from './tracefile.ts';

/** What is special about a stream. */
export interface StreamWriterOptions {
  /**
   * It was stored in part before, and goes on with that. `lastPacketSeqNum`: of its last packet, wherever that lies;
   * undefined: it has none, or they are not numbered.
   */
  resumes?: { lastPacketSeqNum: bigint | undefined } | undefined;
  /** Nobody will ever read its packets: see `TracefileOwner`. */
  isHollow?: boolean;
}

/** See the file's head. */
export class StreamWriter implements TracefileOwner {
  readonly stream: StreamOpen;
  readonly ledger = new Ledger();
  /** What is committed, for readers within the relay. */
  readonly stored = new StoredPackets();
  /** Whether packets need an index. */
  readonly isIndexed: boolean;
  readonly isHollow: boolean;
  readonly #context: StoreContext;
  readonly #files: StreamFiles;
  readonly #intake: PacketIntake;
  readonly #halves: HalfPackets;
  readonly #switch: ChunkSwitch;
  #end: { last: bigint | undefined; done: () => void } | undefined;
  #failed: MillraceError | undefined;
  /** What is not whole when it ends will be sent again. */
  comesAgain = false;
  /** A close was asked for; it waits for the writes that are under way. */
  #closing = false;
  #closed = false;

  /**
   * Creates the first data file. `components`: directory of the CTF trace in its chunk, checked. `format`
   * undefined: packets are committed when they are whole (snapshots, producers before 2.4).
   * Errors: MR_ERR_DISK_CREATE.
   */
  constructor(
    stream: StreamOpen,
    chunk: TraceChunk,
    components: readonly string[],
    format: IndexFormat | undefined,
    context: StoreContext,
    { resumes, isHollow = false }: StreamWriterOptions = {},
  ) {
    this.stream = stream;
    this.isIndexed = format !== undefined;
    this.isHollow = isHollow;
    this.#context = context;
    this.#halves = new HalfPackets(stream.stream);
    this.#switch = new ChunkSwitch(resumes?.lastPacketSeqNum);
    const continues = resumes !== undefined;
    this.#files = new StreamFiles({ stream, components, format, continues }, context, this);
    this.#intake = new PacketIntake(this.#files, this.#switch);
    this.#files.openFirst(chunk);
  }

  get name(): string {
    return this.stream.channelName;
  }

  /** Directory of its CTF trace, relative to the output directory. */
  get path(): string {
    return this.#files.path;
  }

  get failed(): MillraceError | undefined {
    return this.#failed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether packets have a file to go to. */
  get hasFile(): boolean {
    return this.#files.canTake;
  }

  get committedBytes(): number {
    return this.#files.committedBytes ?? this.ledger.stored.bytes;
  }

  get halfPackets(): number {
    return this.#halves.size;
  }

  /** Whether so much is staged that it should be flushed before more comes. */
  get full(): boolean {
    return this.#files.current?.full === true;
  }

  /** Whether a change of trace chunks waits for packets. */
  get switching(): boolean {
    return this.#switch.isPending;
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
    if (this.#intake.packet === undefined) this.#files.enter();
    if (this.#failed !== undefined || this.#closing) return;
    if (!this.#intake.take(frame, bytes)) this.#lose('no trace chunk', 1, frame.dataSizeBytes);
  }

  /** Writes what was staged; `done` when the slab is free again, with the error that failed the stream. */
  flush(done: (error?: MillraceError) => void): void {
    this.#intake.flush(() => {
      this.#tryChange();
      done(this.#failed);
    });
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
      if (!this.isIndexed) continue;
      try {
        if (this.#halves.addData(packet) && !this.#switch.isBehind(packet.index as Index))
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
    if (!this.isIndexed) return;
    const packet = this.#halves.addIndex(index);
    if (packet !== undefined && !this.#switch.isBehind(index)) packet.tracefile?.record(packet);
    if (this.#switch.isPending) this.#tryChange();
  }

  /** A live beacon: nothing happened until then. */
  inactive(beacon: Inactive): void {
    if (this.ledger.beacon.inactive(beacon)) this.stored.changed();
  }

  /** A packet that will never come whole, nor its index. Only between writes: what is staged was flushed before. */
  lose({ netSeqNum, cause, index }: Lost): void {
    if (this.#failed !== undefined || this.#closing) return;
    const half = this.#halves.take(netSeqNum);
    const { packet } = this.#intake;
    const torn = packet?.netSeqNum === netSeqNum ? packet : undefined;
    this.#lose(cause, 1, torn?.tracefile?.tornBytes ?? 0);
    if (torn !== undefined) this.#intake.drop();
    torn?.tracefile?.cutTorn();
    const announced = index ?? half?.index;
    if (half !== undefined && half.endBytes >= 0) half.tracefile?.pass(half);
    else if (announced !== undefined) this.#files.current?.recordLost(announced);
    this.#tryChange();
  }

  committed(packets: readonly Packet[], records: number): void {
    for (const { netSeqNum, endBytes, index } of packets) {
      this.ledger.advance('stored', netSeqNum, endBytes);
      if (index?.packetSeqNum !== undefined) this.#switch.committed(index.packetSeqNum);
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
    this.#files.closeDrained(this.#intake.packet);
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
    if (pending) this.#files.syncPoint();
    else {
      this.#switch.settled(this.ledger.packets);
      this.#trySwitch();
    }
    return pending;
  }

  #isOutstanding(last: bigint): boolean {
    for (const number of this.#halves.numbers()) if (!isAfter(number, last)) return true;
    return this.#files.isOutstanding(last);
  }

  /**
   * The stream goes over to `next` (undefined: to no chunk) at the first packet whose packet_seq_num is at least
   * `atPacketSeqNum`; `done` when it has. At most one such change at a time.
   */
  switchTo(atPacketSeqNum: bigint, next: TraceChunk | undefined, done: () => void): void {
    this.#files.enter();
    if (this.#closed) {
      done();
      return;
    }
    this.#switch.ask({ atPacketSeqNum, next, done }, this.#files.current !== undefined);
    this.#tryChange();
  }

  #trySwitch(): void {
    if (!this.#switch.isPending || this.#closing) return;
    const { packet } = this.#intake;
    const first = this.#files.firstUncommitted ?? packet;
    const hasHalves = this.#halves.size > 0;
    const hasFile = this.#files.current !== undefined;
    if (!this.#switch.isDue({ first, hasHalves, hasFile, packets: this.ledger.packets })) {
      // What lies before the split must be committed first.
      if (first?.index !== undefined) this.#files.syncPoint();
      return;
    }
    if (!this.#files.idle) return;
    const change = this.#switch.take();
    try {
      this.#files.goOver(change?.next, first, packet);
    } catch (error) {
      this.fail(error as MillraceError);
    }
    change?.done();
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
    this.#files.syncPoint();
    this.#tryEnd();
  }

  #tryEnd(): void {
    const end = this.#end;
    if (end === undefined || this.#closing) return;
    if (end.last !== undefined && this.isPending(end.last)) return;
    if (end.last === undefined && (this.#halves.size > 0 || !this.#files.drained)) return;
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
    if (this.#failed === undefined) this.#files.enter();
    if (this.#closed) return;
    if (!this.#files.idle) return;
    this.#closed = true;
    const lost = new Set([...this.#halves.announced()].map(({ netSeqNum }) => netSeqNum));
    const { packet } = this.#intake;
    if (packet !== undefined) lost.add(packet.netSeqNum);
    // of a session that may be taken up again they come once more
    if (lost.size > 0 && !this.comesAgain) this.#lose('unfinished', lost.size, this.#files.tornBytes);
    this.#halves.clear();
    this.#files.close();
    this.#switch.take()?.done();
    this.stored.end();
    this.#end?.done();
  }

  /** Gives the stream up, after a failed write for instance: what was whole stays, the torn tail is cut. */
  fail(error: MillraceError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.stored.failed = true;
    this.#intake.drop();
    this.#lose(error.code, 1, this.#files.tornBytes);
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
