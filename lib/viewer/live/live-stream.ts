/**
 * A data stream while it comes in. Bytes and index of a packet come in either order; it can be read once both are there
 * and a beacon has covered it. Until the next one can be read, the stream promises that nothing earlier will come than
 * the end of the last, or the time of its last sign of inactivity.
 */
import type { ScopeValues } from '../../ctf/decode/values-emitter.ts';
import type { PacketHeader } from '../../ctf/packet-header.ts';
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Data, Inactive, StreamOpen } from '../../stage/frames.ts';
import type { DataStream } from '../data-streams.ts';
import { beginning, type Ranked } from '../merge.ts';
import { type PacketSupply, StreamMessages, type Supplied } from '../messages.ts';
import { type ClockOffset, ClockReader, compareMoments, type Moment } from '../moment.ts';
import { packetError } from '../packet-table.ts';
import type { StreamCode } from '../stream-code.ts';
import type { Trace } from '../trace.ts';
import type { LiveTrace } from './live-trace.ts';

interface HeldPacket {
  bytes: Buffer;
  got: number;
  hasIndex: boolean;
}

export interface LiveStreamOptions {
  clockOffset: ClockOffset | undefined;
  where: ((scopes: ScopeValues, trace: Trace) => boolean) | undefined;
  /** No packet of the session has an index: bytes are all there is. */
  isIndexless: boolean;
}

export class LiveStream implements PacketSupply, Ranked {
  readonly path: string;
  readonly trace: LiveTrace;
  readonly #options: LiveStreamOptions;
  readonly #held = new Map<bigint, HeldPacket>();
  /** Each with the code for the metadata that was there when it came. */
  readonly #queue: { supplied: Supplied; code: StreamCode | undefined }[] = [];
  #clock: ClockReader | undefined;
  #ended = false;
  #safe = -1n;
  #offsetBytes = 0;
  /** Set with its first packet. */
  stream: DataStream | undefined;
  messages!: StreamMessages;
  /** -1: it has no place yet. */
  rank = -1;
  pathRank = 0;
  /** The end of the last packet that was read, and the last sign of inactivity. */
  #read: Moment = beginning;
  #inactive: Moment = beginning;
  heldBytes = 0;

  constructor({ path, channelName }: StreamOpen, trace: LiveTrace, options: LiveStreamOptions) {
    this.path = `${path.replace(/\/+$/, '')}/${channelName}`;
    this.trace = trace;
    this.#options = options;
  }

  /** A part of a packet; copied. Errors: MR_ERR_VIEW_PACKET. */
  data({ netSeqNum, offsetBytes, dataSizeBytes, last }: Data, bytes: Uint8Array): void {
    let packet = this.#held.get(netSeqNum);
    if (packet === undefined || packet.bytes.length === 0) {
      if (dataSizeBytes > limits.packetBytes)
        throw packetError(
          this.path,
          this.#offsetBytes,
          `${dataSizeBytes} bytes, at most ${limits.packetBytes} are read`,
        );
      const hasIndex = this.#options.isIndexless || packet?.hasIndex === true;
      packet = { bytes: Buffer.allocUnsafe(dataSizeBytes), got: 0, hasIndex };
      this.#held.set(netSeqNum, packet);
      this.heldBytes += dataSizeBytes;
    }
    packet.bytes.set(bytes, offsetBytes);
    packet.got += bytes.length;
    if (last && this.#options.isIndexless) this.safeUpTo(netSeqNum);
  }

  index(netSeqNum: bigint): void {
    const packet = this.#held.get(netSeqNum);
    if (packet !== undefined) packet.hasIndex = true;
    else this.#held.set(netSeqNum, { bytes: Buffer.alloc(0), got: 0, hasIndex: true });
  }

  lost(netSeqNum: bigint): void {
    const packet = this.#held.get(netSeqNum);
    this.heldBytes -= packet?.bytes.length ?? 0;
    this.#held.delete(netSeqNum);
  }

  /** A beacon: packets up to this number may be read. Errors: MR_ERR_VIEW_PACKET, MR_ERR_VIEW_INPUT. */
  safeUpTo(netSeqNum: bigint): void {
    if (netSeqNum > this.#safe) this.#safe = netSeqNum;
    const ready = [...this.#held].filter(
      ([number, { hasIndex, got, bytes }]) =>
        number <= this.#safe && hasIndex && got > 0 && got === bytes.length,
    );
    for (const [number, { bytes }] of ready.sort(([a], [b]) => (a < b ? -1 : 1))) {
      this.#held.delete(number);
      const supplied = this.#supplied(bytes);
      this.#queue.push({ supplied, code: this.trace.code(supplied.packet.file.stream.id) });
    }
  }

  inactive({ timestampEndCycles, streamClassId }: Inactive): void {
    const layout = this.trace.current()?.layouts.get(streamClassId);
    if (layout?.clock === undefined) return;
    this.#clock ??= new ClockReader(layout.clock, this.#options.clockOffset);
    this.#inactive = this.#clock.momentOf(timestampEndCycles);
  }

  /** Nothing before this will come. A sign of inactivity says so only of what comes after all packets before it. */
  get promise(): Moment {
    const isIdle = this.#queue.length === 0 && this.#held.size === 0;
    return isIdle && compareMoments(this.#inactive, this.#read) > 0 ? this.#inactive : this.#read;
  }

  /** Nothing more comes. */
  end(): void {
    this.safeUpTo(2n ** 64n);
    this.#ended = true;
    this.#held.clear();
  }

  get isEnded(): boolean {
    return this.#ended && this.#queue.length === 0;
  }

  /** A packet can be read. */
  get isReady(): boolean {
    return this.#queue.length > 0;
  }

  next(): Supplied | 'wait' | 'end' {
    const first = this.#queue.shift();
    if (first === undefined) return this.#ended ? 'end' : 'wait';
    const { supplied, code } = first;
    this.heldBytes -= supplied.bytes.length;
    if (code !== undefined && code !== this.messages.code) this.messages.use(code);
    const { endCycles } = supplied.packet;
    if (endCycles !== undefined && this.#clock !== undefined) this.#read = this.#clock.momentOf(endCycles);
    return supplied;
  }

  #supplied(bytes: Buffer): Supplied {
    const trace = this.trace.current();
    const offset = this.#offsetBytes;
    if (trace === undefined) throw packetError(this.path, offset, 'there is no metadata for it');
    let header: PacketHeader;
    try {
      header = trace.reader.packetAt(bytes);
    } catch (cause) {
      throw cause instanceof MillraceError ? packetError(this.path, offset, cause.message, cause) : cause;
    }
    const stream = this.#stream(trace, header);
    const contentBits = Number(header.contentSizeBits ?? BigInt(bytes.length * 8));
    if (contentBits > bytes.length * 8)
      throw packetError(this.path, offset, `${contentBits} bits of content in ${bytes.length} bytes`);
    this.#offsetBytes += Math.max(Number(header.packetSizeBits ?? 0n) / 8, bytes.length);
    const file = { path: this.path, stream: stream.layout.stream, streamInstanceId: stream.id, packets: [] };
    const packet = {
      file,
      offsetBytes: offset,
      sizeBytes: bytes.length,
      contentBits,
      beginCycles: header.timestampBeginCycles,
      endCycles: header.timestampEndCycles,
      eventsDiscarded: header.eventsDiscarded,
      packetSeqNum: header.packetSeqNum,
      isOpen: false,
    };
    return { packet, bytes };
  }

  /** With its first packet a stream says what it is. */
  #stream(trace: Trace, { streamClassId, streamInstanceId = 0n }: PacketHeader): DataStream {
    if (this.stream !== undefined) return this.stream;
    const layout = trace.layouts.get(streamClassId);
    const code = this.trace.code(streamClassId);
    if (layout === undefined || code === undefined)
      throw packetError(this.path, 0, `stream class ${streamClassId} is not in the metadata`);
    const { clockOffset, where } = this.#options;
    this.#clock ??= layout.clock && new ClockReader(layout.clock, clockOffset);
    const passes = where && ((scopes: ScopeValues) => where(scopes, trace));
    this.messages = new StreamMessages(code, this.#clock, this, passes);
    this.stream = { trace, layout, id: streamInstanceId, path: this.path, packets: [] };
    return this.stream;
  }
}
