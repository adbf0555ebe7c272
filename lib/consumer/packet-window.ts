/**
 * Takes packets from many streams in the order of their times, as many as fit one slab, and reads them into it with
 * one read for each run of neighbours in a file: what leaves is in the order of time, and nothing is copied.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CommittedFile } from '../disk/committed-file.ts';
import type { FrameBatch } from '../stage/batch.ts';
import type { Frame, Index } from '../stage/frames.ts';
import { lendSlab } from '../stage/generated-source.ts';
import type { SessionStream } from '../stage/session-frames.ts';
import type { Slab, SlabPool, SlabQuota } from '../stage/slab.ts';
import type { SourcePacket } from './packet-cursor.ts';

/** Packets of one stream in order, as far as they are known. */
export interface Packets {
  readonly head: SourcePacket | undefined;
  /** Passes the head. */
  take(): void;
  /** Looks for more, if the head is not known. */
  fill(): Promise<void>;
  /** What was taken has been read: files may be closed. */
  passed(): Promise<void>;
}

/** A stream whose packets are wanted. */
export interface OpenStream {
  readonly stream: SessionStream;
  readonly cursor: Packets;
}

/** Where packets are read to. */
export interface SlabSource {
  pool: SlabPool;
  quota: SlabQuota;
  signal: AbortSignal;
}

/** A packet that was taken from its stream. */
interface Taken {
  open: OpenStream;
  packet: SourcePacket;
  netSeqNum: bigint;
  /** Its place in the slab. */
  start: number;
}

/** Neighbours in one file, which one read brings. */
interface Run {
  file: CommittedFile;
  fromBytes: number;
  start: number;
  end: number;
}

const most = 1024;

/** See the file's head. Errors of its methods: MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED, the signal's reason. */
export class PacketWindow {
  readonly #slabs: SlabSource;
  /** Streams that have a packet, the earliest first. */
  readonly #waiting: OpenStream[] = [];

  constructor(slabs: SlabSource) {
    this.#slabs = slabs;
  }

  /** Adds a stream; it leaves when it has no packet any more. */
  async add(open: OpenStream): Promise<void> {
    if (open.cursor.head === undefined) await open.cursor.fill();
    const { head } = open.cursor;
    if (head !== undefined) this.#insert(open, head);
  }

  #insert(open: OpenStream, head: SourcePacket): void {
    const time = head.facts.timestampBeginCycles;
    let [low, high] = [0, this.#waiting.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = (this.#waiting[middle] as OpenStream).cursor.head as SourcePacket;
      if (other.facts.timestampBeginCycles <= time) low = middle + 1;
      else high = middle;
    }
    this.#waiting.splice(low, 0, open);
  }

  /** The next packets as frames; ends when no stream has one. `passed` is told of each that is whole. */
  async *batches(
    passed: (stream: SessionStream, netSeqNum: bigint) => void,
  ): AsyncGenerator<FrameBatch, void> {
    const { pool } = this.#slabs;
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting as [OpenStream];
      const { sizeBytes } = first.cursor.head as SourcePacket;
      if (sizeBytes > pool.slabBytes) yield* this.#inParts(this.#take(), passed);
      else yield await this.#together(passed);
      // Where nothing has to be waited for, whoever else needs the event loop has it between two batches.
      await nextTurn();
    }
  }

  #take(): Taken {
    const open = this.#waiting.shift() as OpenStream;
    const { stream, cursor } = open;
    const packet = cursor.head as SourcePacket;
    const netSeqNum = stream.next;
    stream.next += 1n;
    if (packet.lost === undefined) stream.packetSeqNum = packet.facts.packetSeqNum ?? stream.packetSeqNum;
    cursor.take();
    return { open, packet, netSeqNum, start: 0 };
  }

  async #together(passed: (stream: SessionStream, netSeqNum: bigint) => void): Promise<FrameBatch> {
    const { pool, quota, signal } = this.#slabs;
    const taken: Taken[] = [];
    for (let bytes = 0; this.#waiting.length > 0 && taken.length < most; ) {
      const next = (this.#waiting[0] as OpenStream).cursor.head as SourcePacket;
      bytes += next.sizeBytes;
      if (bytes > pool.slabBytes) break;
      const one = this.#take();
      taken.push(one);
      const { head } = one.open.cursor;
      if (head === undefined) await this.add(one.open);
      else this.#insert(one.open, head);
    }
    const runs = place(taken);
    const slab = runs.length === 0 ? undefined : await lendSlab(pool, quota, signal);
    try {
      await readRuns(runs, slab);
    } catch (error) {
      slab?.release();
      throw error;
    }
    for (const { cursor } of new Set(taken.map(({ open }) => open))) await cursor.passed();
    for (const { open, netSeqNum } of taken) passed(open.stream, netSeqNum);
    return { slab, frames: taken.flatMap(framesOf) };
  }

  /** A packet that no slab holds: each batch brings a part. */
  async *#inParts(
    { open, packet, netSeqNum }: Taken,
    passed: (stream: SessionStream, netSeqNum: bigint) => void,
  ): AsyncGenerator<FrameBatch, void> {
    const { pool, quota, signal } = this.#slabs;
    const { stream, cursor } = open;
    const file = packet.file as CommittedFile;
    for (let at = 0; at < packet.sizeBytes; at += pool.slabBytes) {
      const end = Math.min(packet.sizeBytes - at, pool.slabBytes);
      const last = at + end === packet.sizeBytes;
      const slab = await lendSlab(pool, quota, signal);
      try {
        await file.readInto(slab.bytes.subarray(0, end), packet.offsetBytes + at);
      } catch (error) {
        slab.release();
        throw error;
      }
      const frames: Frame[] = [
        {
          kind: 'data',
          stream: stream.handle,
          netSeqNum,
          offsetBytes: at,
          dataSizeBytes: packet.sizeBytes,
          start: 0,
          end,
          last,
          paddingSizeBytes: 0,
        },
      ];
      if (last) {
        frames.push(indexOf(stream, packet, netSeqNum));
        passed(stream, netSeqNum);
      }
      yield { slab, frames };
    }
    await this.add(open);
    await cursor.passed();
  }
}

/** Gives every packet its place in the slab, those of one stream side by side, and joins neighbours to runs. */
function place(taken: readonly Taken[]): Run[] {
  const streams = new Map<OpenStream, Taken[]>();
  for (const one of taken) {
    const own = streams.get(one.open);
    if (own === undefined) streams.set(one.open, [one]);
    else own.push(one);
  }
  const runs: Run[] = [];
  let at = 0;
  for (const packets of streams.values()) {
    let run: Run | undefined;
    for (const one of packets) {
      const { file, offsetBytes, sizeBytes } = one.packet;
      if (file === undefined) continue;
      one.start = at;
      at += sizeBytes;
      if (run?.file === file && run.fromBytes + (run.end - run.start) === offsetBytes) run.end = at;
      else {
        run = { file, fromBytes: offsetBytes, start: one.start, end: at };
        runs.push(run);
      }
    }
  }
  return runs;
}

async function readRuns(runs: readonly Run[], slab: Slab | undefined): Promise<void> {
  if (slab === undefined) return;
  const reads = runs.map(({ file, fromBytes, start, end }) =>
    file.readInto(slab.bytes.subarray(start, end), fromBytes),
  );
  // Not one of them may still write into the slab when it goes home.
  const failed = (await Promise.allSettled(reads)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

function framesOf({ open: { stream }, packet, netSeqNum, start }: Taken): Frame[] {
  const index = indexOf(stream, packet, netSeqNum);
  const { handle } = stream;
  if (packet.file === undefined) {
    const { cause, isAnnounced } = packet.lost ?? { cause: 'lost before it was stored', isAnnounced: true };
    return [{ kind: 'lost', stream: handle, netSeqNum, cause, index: isAnnounced ? index : undefined }];
  }
  const { sizeBytes } = packet;
  return [
    {
      kind: 'data',
      stream: handle,
      netSeqNum,
      offsetBytes: 0,
      dataSizeBytes: sizeBytes,
      start,
      end: start + sizeBytes,
      last: true,
      paddingSizeBytes: 0,
    },
    index,
  ];
}

function indexOf(stream: SessionStream, { facts }: SourcePacket, netSeqNum: bigint): Index {
  return {
    kind: 'index',
    stream: stream.handle,
    netSeqNum,
    packetSizeBits: facts.packetSizeBits,
    contentSizeBits: facts.contentSizeBits,
    timestampBeginCycles: facts.timestampBeginCycles,
    timestampEndCycles: facts.timestampEndCycles,
    eventsDiscarded: facts.eventsDiscarded,
    streamClassId: facts.streamClassId,
    streamInstanceId: facts.streamInstanceId,
    packetSeqNum: facts.packetSeqNum,
    metadataPositionBytes: stream.metadataBytes,
  };
}
