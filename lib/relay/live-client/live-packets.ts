/** Asks streams for their packets and gathers them in slabs: one batch for what came in one round. */
import { MillraceError } from '../../errors.ts';
import type { FrameBatch } from '../../stage/batch.ts';
import type { Frame, Index } from '../../stage/frames.ts';
import { lendSlab } from '../../stage/generated-source.ts';
import type { Slab, SlabPool, SlabQuota } from '../../stage/slab.ts';
import { indexStatus, packetStatus, type ViewerReplyOf, viewerFlags } from '../../wire/live/index.ts';
import { idleMs, type LiveStream, lostPackets } from './live-trace.ts';
import type { ViewerChannel } from './viewer-channel.ts';

/** What the session does for its packets. */
export interface PacketOwner {
  readonly slabs: { pool: SlabPool; quota: SlabQuota; signal: AbortSignal };
  /** An attached session has new streams. */
  streamsToCome(): void;
  /** Metadata that must be handed on before the packet that follows. */
  metadata(live: LiveStream): AsyncGenerator<FrameBatch, void>;
  passed(live: LiveStream, netSeqNum: bigint): void;
  /** The relay has no more of it; `isError`: it does not know it. */
  ended(live: LiveStream, isError: boolean): Frame[];
}

type Reply = ViewerReplyOf<'getNextIndex'> & Partial<ViewerReplyOf<'getNextRecord'>>;

/** Packets of one stream before the next stream is asked. */
const inARow = 32;
const unknown = 0xffff_ffff_ffff_ffffn;
const known = (value: bigint | undefined) => (value === unknown ? undefined : value);

/** See the file's head. Errors: those of the channel, MR_ERR_LIVE_REPLY, the signal's reason. */
export class LivePackets {
  readonly #owner: PacketOwner;
  #slab: Slab | undefined;
  #fill = 0;
  #frames: Frame[] = [];

  constructor(owner: PacketOwner) {
    this.#owner = owner;
  }

  /** Asks each stream that is due. */
  async *round(channel: ViewerChannel, streams: Iterable<LiveStream>): AsyncGenerator<FrameBatch, void> {
    try {
      for (const live of streams) {
        if (!live.isShown || performance.now() < live.askAtMs) continue;
        for (let n = 0; n < inARow && live.isShown && performance.now() >= live.askAtMs; n += 1)
          yield* this.#next(channel, live);
      }
      yield* this.#flush();
    } catch (error) {
      // What had come before the connection was lost is counted as read.
      yield* this.#flush();
      throw error;
    } finally {
      this.#slab?.release();
      this.#slab = undefined;
      this.#frames = [];
    }
  }

  *#flush(): Generator<FrameBatch> {
    const slab = this.#slab;
    const frames = this.#frames;
    this.#slab = undefined;
    this.#frames = [];
    this.#fill = 0;
    if (frames.length > 0) yield { slab, frames };
    else slab?.release();
  }

  async *#next(channel: ViewerChannel, live: LiveStream): AsyncGenerator<FrameBatch, void> {
    const request = { streamId: live.id };
    const reply: Reply =
      channel.relayProcess === undefined
        ? await channel.ask('getNextIndex', request)
        : await channel.ask('getNextRecord', request);
    if ((reply.flags & viewerFlags.newStream) !== 0) this.#owner.streamsToCome();
    this.#missed(live, reply);
    const isPassed = live.isPassing && reply.status === indexStatus.ok;
    live.isPassing = isPassed;
    switch (reply.status) {
      case indexStatus.ok:
        if (isPassed) {
          if (live.position !== undefined) live.position += 1n;
          return;
        }
        if ((reply.flags & viewerFlags.newMetadata) !== 0 || live.trace.text.length === 0) {
          yield* this.#flush();
          yield* this.#owner.metadata(live);
        }
        yield* this.#packet(channel, live, reply);
        return;
      case indexStatus.inactive:
        this.#inactive(live, reply);
        live.askAtMs = performance.now() + idleMs;
        return;
      case indexStatus.retry:
        live.askAtMs = performance.now() + idleMs;
        return;
      case indexStatus.hangUp:
      case indexStatus.endOfFile:
      case indexStatus.error:
        this.#frames.push(...this.#owner.ended(live, reply.status === indexStatus.error));
        return;
      default:
        throw refused(channel, 'getNextIndex', `status ${reply.status}`);
    }
  }

  /** A time that goes back is no news. */
  #inactive(live: LiveStream, { timestampEndCycles, streamClassId }: Reply): void {
    if (live.beaconCycles !== undefined && timestampEndCycles <= live.beaconCycles) return;
    live.beaconCycles = timestampEndCycles;
    const netSeqNum = BigInt.asUintN(64, live.stream.next - 1n);
    const { handle: stream } = live.stream;
    this.#frames.push({ kind: 'inactive', stream, netSeqNum, streamClassId, timestampEndCycles });
  }

  async *#packet(channel: ViewerChannel, live: LiveStream, reply: Reply): AsyncGenerator<FrameBatch, void> {
    if (live.isRepeating) {
      if (reply.timestampBeginCycles <= (live.lastBeginCycles ?? -1n)) {
        if (live.position !== undefined) live.position += 1n;
        return;
      }
      live.isRepeating = false;
    }
    if (reply.packetSizeBits % 8n !== 0n || reply.packetSizeBits > BigInt(Number.MAX_SAFE_INTEGER))
      throw refused(channel, 'getNextIndex', `a packet of ${reply.packetSizeBits} bits`);
    const bytes = Number(reply.packetSizeBits / 8n);
    const { pool, quota, signal } = this.#owner.slabs;
    const { stream } = live;
    let start = 0;
    let at = this.#goOn(live, reply);
    let isGiven = true;
    const netSeqNum = stream.next;
    let facts = { streamInstanceId: known(reply.streamInstanceId), packetSeqNum: known(reply.packetSeqNum) };
    do {
      const part = Math.min(bytes - at, pool.slabBytes);
      if (this.#slab === undefined || this.#slab.bytes.length - this.#fill < part) {
        yield* this.#flush();
        this.#slab = await lendSlab(pool, quota, signal);
      }
      start = this.#fill;
      const target = this.#slab.bytes.subarray(start, start + part);
      isGiven = await this.#bytes(channel, live, reply.offsetBytes + BigInt(at), target);
      if (!isGiven) break;
      if (at === 0 && reply.packetSeqNum === undefined) facts = live.trace.packetFacts(target);
      this.#fill += part;
      const last = at + part === bytes;
      this.#frames.push({
        kind: 'data',
        stream: stream.handle,
        netSeqNum,
        offsetBytes: at,
        dataSizeBytes: bytes,
        start,
        end: start + part,
        last,
        paddingSizeBytes: 0,
      });
      at += part;
      live.part = last ? undefined : { beginCycles: reply.timestampBeginCycles, bytes: at };
    } while (at < bytes);
    this.#publish(live, indexOf(live, reply, facts), isGiven);
  }

  /** How much of the packet has been handed on, over a connection that was lost. */
  #goOn(live: LiveStream, { timestampBeginCycles }: Reply): number {
    const { part } = live;
    if (part === undefined || part.beginCycles === timestampBeginCycles) return part?.bytes ?? 0;
    live.part = undefined;
    this.#frames.push(...lostPackets(live, 1n, 'whose rest was gone when the connection was back'));
    return 0;
  }

  #publish(live: LiveStream, index: Index, isGiven: boolean): void {
    const { stream } = live;
    const { netSeqNum } = index;
    stream.next += 1n;
    stream.packetSeqNum = index.packetSeqNum ?? stream.packetSeqNum;
    live.lastBeginCycles = index.timestampBeginCycles;
    live.part = undefined;
    if (live.position !== undefined) live.position += 1n;
    const cause = 'the relay has not got it any more';
    this.#frames.push(isGiven ? index : { kind: 'lost', stream: stream.handle, netSeqNum, cause, index });
    this.#owner.passed(live, netSeqNum);
  }

  /** Packets that a millrace relay counts between the last one and this, or that are gone and nothing is behind them. */
  #missed(live: LiveStream, { position, status }: Reply): void {
    if (position === undefined || status === indexStatus.error) return;
    // of a packet that came in part, the rest may have gone with those
    const isPartLost = live.part !== undefined && live.position !== undefined && position > live.position;
    if (isPartLost) live.part = undefined;
    if (live.position !== undefined)
      this.#frames.push(...lostPackets(live, position - live.position, 'were gone before they were read'));
    live.position = position;
  }

  /** Bytes of a packet into `target`; false: the relay has not got them. */
  async #bytes(
    channel: ViewerChannel,
    live: LiveStream,
    offsetBytes: bigint,
    target: Buffer,
  ): Promise<boolean> {
    for (;;) {
      const request = { streamId: live.id, offsetBytes, lengthBytes: target.length };
      const { status, lengthBytes, flags } = await channel.ask('getPacket', request);
      if (status === packetStatus.ok) {
        if (lengthBytes !== target.length)
          throw refused(channel, 'getPacket', `${lengthBytes} bytes, not ${target.length}`);
        await channel.bytes(target);
        return true;
      }
      // Relays of 2.4 and 2.5 want metadata and streams to be asked for first; nobody says "retry", which may be meant.
      const mayCome = status === packetStatus.retry || (status === packetStatus.error && flags !== 0);
      if (!mayCome) return false;
      if ((flags & viewerFlags.newStream) !== 0) this.#owner.streamsToCome();
      if (live.trace.metadataId !== undefined) await live.trace.more(channel);
      await new Promise((resolve) => setTimeout(resolve, idleMs / 10));
      this.#owner.slabs.signal.throwIfAborted();
    }
  }
}

function indexOf(
  live: LiveStream,
  reply: Reply,
  facts: Pick<Index, 'streamInstanceId' | 'packetSeqNum'>,
): Index {
  const { handle: stream, next: netSeqNum } = live.stream;
  const { packetSizeBits, contentSizeBits, timestampBeginCycles, timestampEndCycles } = reply;
  return {
    kind: 'index',
    stream,
    netSeqNum,
    packetSizeBits,
    contentSizeBits,
    timestampBeginCycles,
    timestampEndCycles,
    eventsDiscarded: reply.eventsDiscarded,
    streamClassId: reply.streamClassId,
    streamInstanceId: facts.streamInstanceId,
    packetSeqNum: facts.packetSeqNum,
    metadataPositionBytes: live.trace.sentBytes,
  };
}

function refused(channel: ViewerChannel, command: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_LIVE_REPLY', { peer: channel.peer, command, why });
}
