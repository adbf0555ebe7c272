/**
 * Packets from their fragments: in the order of their numbers in each stream, each once, whatever order and however
 * often the fragments come. A packet that is missing holds its stream back until it is given up.
 */
import { isAfter } from '../../disk/ledger.ts';
import { limits } from '../../limits.ts';

/** A fragment, as its datagram says. */
export interface Fragment {
  streamId: bigint;
  netSeqNum: bigint;
  dataSizeBytes: number;
  paddingSizeBytes: number;
  fragment: number;
  offsetBytes: number;
  bytes: Buffer;
}

/** A packet that is whole. Its bytes are given away. */
export interface WholePacket {
  streamId: bigint;
  netSeqNum: bigint;
  paddingSizeBytes: number;
  bytes: Buffer;
}

interface Assembly {
  paddingSizeBytes: number;
  bytes: Buffer;
  gotBytes: number;
  readonly fragments: Set<number>;
}

interface StreamState {
  /** The number that is due; undefined: the first one is not known yet. */
  next: bigint | undefined;
  readonly packets: Map<bigint, Assembly>;
}

/** What comes out. */
export interface ReassemblySink {
  packet(packet: WholePacket): void;
  lost(streamId: bigint, netSeqNum: bigint): void;
}

/** See the file's head. `room`: whether so many more bytes may be held. */
export class Reassembly {
  readonly #sink: ReassemblySink;
  readonly #room: (bytes: number) => boolean;
  readonly #streams = new Map<bigint, StreamState>();
  /** Bytes of packets that are held. */
  heldBytes = 0;
  /** Fragments that said nothing new, came too late, or contradict others. */
  duplicates = 0;
  late = 0;
  bad = 0;

  constructor(sink: ReassemblySink, room: (bytes: number) => boolean) {
    this.#sink = sink;
    this.#room = room;
  }

  /** Takes a fragment; its bytes are copied. */
  take(fragment: Fragment): void {
    const { streamId, netSeqNum, offsetBytes, bytes } = fragment;
    const stream = this.#stream(streamId);
    if (stream.next !== undefined && isAfter(stream.next, netSeqNum)) {
      this.late += 1;
      return;
    }
    const assembly = stream.packets.get(netSeqNum) ?? this.#begin(stream, fragment);
    if (assembly === undefined) return;
    if (assembly.fragments.has(fragment.fragment)) {
      this.duplicates += 1;
      return;
    }
    if (
      assembly.bytes.length !== fragment.dataSizeBytes ||
      offsetBytes + bytes.length > assembly.bytes.length
    ) {
      this.bad += 1;
      return;
    }
    assembly.fragments.add(fragment.fragment);
    bytes.copy(assembly.bytes, offsetBytes);
    assembly.gotBytes += bytes.length;
    if (stream.next === netSeqNum) this.#advance(streamId, stream);
  }

  /** The first number of a stream is known. */
  begin(streamId: bigint, first: bigint): void {
    const stream = this.#stream(streamId);
    if (stream.next !== undefined) return;
    stream.next = first;
    for (const netSeqNum of stream.packets.keys())
      if (isAfter(first, netSeqNum)) this.#forget(stream, netSeqNum);
    this.#advance(streamId, stream);
  }

  /** What has not come of the packets up to `last` never will. Returns whether that is a number to believe. */
  giveUp(streamId: bigint, last: bigint): boolean {
    const stream = this.#stream(streamId);
    if (stream.next === undefined) return true;
    if (last - stream.next > BigInt(limits.udpSentPackets)) return false;
    while (!isAfter(stream.next, last)) {
      const netSeqNum: bigint = stream.next;
      if (this.#isWhole(stream, netSeqNum)) this.#advance(streamId, stream);
      else {
        this.#forget(stream, netSeqNum);
        stream.next = BigInt.asUintN(64, netSeqNum + 1n);
        this.#sink.lost(streamId, netSeqNum);
      }
    }
    this.#advance(streamId, stream);
    return true;
  }

  #stream(streamId: bigint): StreamState {
    const found = this.#streams.get(streamId);
    if (found !== undefined) return found;
    const stream: StreamState = { next: undefined, packets: new Map() };
    this.#streams.set(streamId, stream);
    return stream;
  }

  #begin(
    stream: StreamState,
    { netSeqNum, dataSizeBytes, paddingSizeBytes }: Fragment,
  ): Assembly | undefined {
    if (dataSizeBytes > limits.packetBytes || !this.#room(dataSizeBytes)) {
      this.bad += 1;
      return undefined;
    }
    const bytes = Buffer.allocUnsafeSlow(dataSizeBytes);
    const assembly: Assembly = { paddingSizeBytes, bytes, gotBytes: 0, fragments: new Set() };
    stream.packets.set(netSeqNum, assembly);
    this.heldBytes += dataSizeBytes;
    return assembly;
  }

  #isWhole(stream: StreamState, netSeqNum: bigint): boolean {
    const assembly = stream.packets.get(netSeqNum);
    return (
      assembly !== undefined && assembly.fragments.size > 0 && assembly.gotBytes === assembly.bytes.length
    );
  }

  #advance(streamId: bigint, stream: StreamState): void {
    while (stream.next !== undefined && this.#isWhole(stream, stream.next)) {
      const netSeqNum = stream.next;
      const { bytes, paddingSizeBytes } = stream.packets.get(netSeqNum) as Assembly;
      this.#forget(stream, netSeqNum);
      stream.next = BigInt.asUintN(64, netSeqNum + 1n);
      this.#sink.packet({ streamId, netSeqNum, paddingSizeBytes, bytes });
    }
  }

  #forget(stream: StreamState, netSeqNum: bigint): void {
    this.heldBytes -= stream.packets.get(netSeqNum)?.bytes.length ?? 0;
    stream.packets.delete(netSeqNum);
  }
}

/** Which of a numbered series have come: all below `floor`, and some above. */
export class Arrivals {
  #floor = 0n;
  readonly #ahead = new Set<bigint>();
  /** How many have come, each counted once. */
  received = 0n;

  get floor(): bigint {
    return this.#floor;
  }

  /** Notes one; false: it had come before, or is too far ahead to be believed. */
  note(sequence: bigint): boolean {
    if (sequence < this.#floor || this.#ahead.has(sequence)) return false;
    if (this.#ahead.size >= limits.udpAheadDatagrams) return false;
    this.#ahead.add(sequence);
    this.received += 1n;
    while (this.#ahead.delete(this.#floor)) this.#floor += 1n;
    return true;
  }

  /** What is below `floor` and has not come is not waited for. */
  pass(floor: bigint): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const sequence of this.#ahead) if (sequence < floor) this.#ahead.delete(sequence);
    while (this.#ahead.delete(this.#floor)) this.#floor += 1n;
  }
}
