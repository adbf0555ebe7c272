/**
 * The open files of one stream: the one that packets go to, and those before it that wait for indexes or a sync. When
 * the stream goes over to another trace chunk, and nothing has to move there, the files that it leaves are closed, and
 * the first one in the next chunk is made, a little later: whoever asked for it need not wait for either.
 */
import type { IndexFormat } from '../ctf/index-file.ts';
import type { MillraceError } from '../errors.ts';
import type { StreamOpen } from '../stage/frames.ts';
import { isAfter } from './ledger.ts';
import type { Packet } from './packets.ts';
import type { StoreContext } from './store-context.ts';
import { pathIn, type TraceChunk } from './trace-chunk.ts';
import { Tracefile, type TracefileOwner } from './tracefile.ts';
import { type AnnouncedTracefile, announceTracefile } from './tracefile-place.ts';
import { TracefileRing } from './tracefile-ring.ts';
import type { Turn } from './turns.ts';

/** What files a stream gets. */
export interface StreamFilesOptions {
  readonly stream: StreamOpen;
  /** Directory of the CTF trace in each chunk, checked. */
  readonly components: readonly string[];
  /** undefined: packets need no index. */
  readonly format: IndexFormat | undefined;
  /** Files that lie in its chunks are gone on with. */
  readonly continues: boolean;
}

/** See the file's head. */
export class StreamFiles implements Turn {
  readonly #options: StreamFilesOptions;
  readonly #context: StoreContext;
  readonly #owner: TracefileOwner;
  readonly #ring: TracefileRing;
  #chunk: TraceChunk | undefined;
  #current: Tracefile | undefined;
  /** In place of the current file, when the stream has gone over to a chunk and its first file there is not made yet. */
  #entering: TraceChunk | undefined;
  /** That file, once the journal knows of it. */
  #announced: AnnouncedTracefile | undefined;
  /** All open files in the order of their packets, the current one last. */
  #open: Tracefile[] = [];
  /** Files of the chunk before, in which everything is committed: still to be closed. */
  #left: Tracefile[] = [];

  /** There is no file before `openFirst`. */
  constructor(options: StreamFilesOptions, context: StoreContext, owner: TracefileOwner) {
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
    this.#ring = new TracefileRing(options.stream);
  }

  /** Directory of their CTF trace, relative to the output directory. */
  get path(): string {
    return pathIn(this.#chunk, this.#options.components);
  }

  /** The file that packets go to; undefined between a rotation to no chunk and the next one. */
  get current(): Tracefile | undefined {
    return this.#current;
  }

  /** Whether packets have a file to go to, or will have one when they come. */
  get canTake(): boolean {
    return this.#current !== undefined || this.#entering !== undefined;
  }

  /** Of the current file; undefined: there is none, nor will there be one. */
  get committedBytes(): number | undefined {
    return this.#entering === undefined ? this.#current?.committedBytes : 0;
  }

  /** Bytes of a packet in the current file that is not whole. */
  get tornBytes(): number {
    return this.#current?.tornBytes ?? 0;
  }

  /** No write is under way. */
  get idle(): boolean {
    return this.#open.every(({ idle }) => idle);
  }

  /** Nothing waits for a write, an index or a sync. */
  get drained(): boolean {
    return this.#open.every(isDrained);
  }

  /** The first packet that is whole and not committed. */
  get firstUncommitted(): Packet | undefined {
    return this.#open.find(({ uncommitted }) => uncommitted.size > 0)?.uncommitted.first;
  }

  /** Whether a packet up to `last` is whole and not committed. */
  isOutstanding(last: bigint): boolean {
    for (const { uncommitted } of this.#open)
      for (const { netSeqNum } of uncommitted) if (!isAfter(netSeqNum, last)) return true;
    return false;
  }

  /** The first file in a chunk, or the last one of those that are there already. Errors: MR_ERR_DISK_CREATE. */
  openFirst(chunk: TraceChunk): Tracefile {
    return this.#make(this.#announceFirst(chunk));
  }

  /**
   * The current file, or the next one if it would grow beyond its size; undefined: there is none. Errors:
   * MR_ERR_DISK_CREATE.
   */
  fileFor(packetBytes: number): Tracefile | undefined {
    const current = this.#current;
    if (current === undefined || !this.#ring.isFull(current.endBytes, packetBytes)) return current;
    this.#ring.advance();
    return this.#make(this.#announce(this.#chunk as TraceChunk, false));
  }

  #announceFirst(chunk: TraceChunk): AnnouncedTracefile {
    const { components, continues } = this.#options;
    if (continues) this.#ring.resume(() => chunk.directory(components).directory);
    return this.#announce(chunk, continues);
  }

  #announce(chunk: TraceChunk, continues: boolean): AnnouncedTracefile {
    const { components, format } = this.#options;
    const { name } = this.#ring;
    for (const tracefile of this.#open)
      if (tracefile.place.chunk === chunk && tracefile.place.name === name) tracefile.replaced();
    return announceTracefile({ chunk, components, name }, format, this.#context, continues);
  }

  #make(announced: AnnouncedTracefile): Tracefile {
    const tracefile = new Tracefile(announced, this.#context, this.#owner);
    const { stored } = this.#owner;
    this.#chunk = announced.place.chunk;
    this.#open.push(tracefile);
    this.#current = tracefile;
    stored.add(tracefile.stored);
    stored.committed(tracefile.stored.records);
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
      this.#owner.fail(error as MillraceError);
    }
  }

  /**
   * Closes the files of the chunk that the stream has left, and makes the first one in the chunk that it has gone over
   * to, if that is still to be done. A failure gives the stream up.
   */
  enter(): void {
    if (this.#entering === undefined && this.#left.length === 0) return;
    this.#context.entering.delete(this);
    this.#closeLeft();
    this.announce();
    const announced = this.#announced;
    this.#entering = this.#announced = undefined;
    if (announced === undefined) return;
    try {
      this.#make(announced);
    } catch (error) {
      this.#owner.fail(error as MillraceError);
    }
  }

  /**
   * The stream goes over to `next` (undefined: to no chunk), and what is not committed moves, packet by packet, into
   * the first file there. `first` is the first such packet, `unfinished` the one whose data is coming. Every file must
   * be idle. Errors: MR_ERR_DISK_CREATE, MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE.
   */
  goOver(next: TraceChunk | undefined, first: Packet | undefined, unfinished: Packet | undefined): void {
    this.#ring.restart();
    this.#owner.stored.leaveChunk();
    if (next === undefined || first === undefined) {
      this.#leaveFor(next);
      return;
    }
    const old = [...this.#open];
    const moving = old.slice(old.indexOf(first.tracefile as Tracefile));
    const to = this.openFirst(next);
    this.#open = [to];
    for (const tracefile of moving) {
      movePackets(tracefile, to, unfinished);
      if (tracefile !== moving[0]) tracefile.remove();
    }
    for (const tracefile of old) tracefile.close();
    to.flushIndex();
  }

  /** Everything is committed, and nothing has to be there yet. */
  #leaveFor(next: TraceChunk | undefined): void {
    for (const tracefile of this.#open) {
      if (tracefile.closesAsItIs) this.#left.push(tracefile);
      else tracefile.close();
    }
    this.#entering = next;
    this.#announced = undefined;
    this.#chunk = next;
    this.#current = undefined;
    this.#open = [];
    if (next !== undefined || this.#left.length > 0) this.#context.entering.add(this);
  }

  #closeLeft(): void {
    for (const tracefile of this.#left) tracefile.close();
    this.#left = [];
  }

  /** Makes durable what is complete, where that is asked for. */
  syncPoint(): void {
    for (const tracefile of this.#open) tracefile.syncPoint();
  }

  /** Closes those before the current one that are finished; `unfinished` is the packet whose data is coming. */
  closeDrained(unfinished: Packet | undefined): void {
    while (
      this.#open.length > 1 &&
      this.#open[0] !== unfinished?.tracefile &&
      isDrained(this.#open[0] as Tracefile)
    )
      this.#open.shift()?.close();
  }

  /** Closes all; no packet has a file any more. */
  close(): void {
    this.#closeLeft();
    for (const tracefile of this.#open) tracefile.close();
    this.#open = [];
    this.#current = undefined;
    this.#entering = this.#announced = undefined;
    this.#context.entering.delete(this);
  }
}

/** Nothing of the file waits for an index or a sync. */
function isDrained({ idle, uncommitted }: Tracefile): boolean {
  return idle && uncommitted.size === 0;
}

/** Moves the packets of a tracefile that are not committed, and the one whose data is coming if that is there. */
function movePackets(from: Tracefile, to: Tracefile, coming: Packet | undefined): void {
  const packets = [...from.uncommitted];
  const unfinished = coming?.tracefile === from ? [coming] : [];
  const movedBytes = to.endBytes - from.committedBytes;
  from.moveOut(to);
  for (const packet of [...packets, ...unfinished]) {
    packet.tracefile = to;
    if (packet.startBytes >= 0) packet.startBytes += movedBytes;
    if (packet.endBytes >= 0) packet.endBytes += movedBytes;
  }
  to.adopt(packets);
}
