/**
 * The bytes of the generator's packets. A **batch** is a buffer of many data frames beside a buffer of the index
 * requests that publish them; both are built once and only their numbers are patched before each sending, so
 * that the generator costs far less than the relay that it measures.
 *
 * A packet looks like a real one of LTTng-UST (relay-protocol, "Annotated captures"): a CTF packet header that
 * carries the numbers, content up to a few bytes before the end, because the next event never fits exactly, and
 * the rest as padding that is not sent.
 */
import { command, indexRequestBytes } from './messages.ts';

/** Bytes of a data frame's header. */
export const frameHeaderBytes = 32;

/** Bytes at a packet's end that no event filled: announced in the frame, written by the relay. */
export const paddingSizeBytes = 24;

/** Bytes of one batch of data frames at most, unless a single frame is larger. */
const batchBytes = 1_048_576;

/** The content repeats with this period, so that a packet in the wrong place or shifted is noticed. */
const contentPeriodBytes = 251;

/** Nanoseconds from one packet's begin to the next in its stream. */
const packetPeriod = 1_000_000;

export interface Packet {
  handle: number;
  /** The stream's number among the session's data streams: the packet's stream instance. */
  stream: number;
  /** Both netSeqNum and packetSeqNum: the bench discards nothing. */
  seqNum: number;
}

/** Frames of `packetSizeBytes` that one batch holds. */
export function framesPerBatch(packetSizeBytes: number): number {
  return Math.max(1, Math.floor(batchBytes / (packetSizeBytes - paddingSizeBytes + frameHeaderBytes)));
}

/** The packet's content as a relay must store it, for `seqNum` 0 of stream 0; patch it with `patchContent`. */
export function packetContent(packetSizeBytes: number): Buffer {
  const content = Buffer.alloc(packetSizeBytes - paddingSizeBytes);
  for (let i = 0; i < content.length; i++) content[i] = i % contentPeriodBytes;
  content.writeUInt32LE(0xc1fc1fc1, 0);
  content.fill(0x5a, 4, 20);
  content.fill(0, 20, 84);
  content.writeUInt32LE(content.length * 8, 48);
  content.writeUInt32LE(packetSizeBytes * 8, 56);
  return content;
}

/** Writes the packet's numbers into the content that begins at `at`. Little endian, as on the traced host. */
export function patchContent(bytes: Buffer, at: number, packet: Packet): void {
  putLE(bytes, at + 24, packet.stream);
  putLE(bytes, at + 32, packet.seqNum * packetPeriod);
  putLE(bytes, at + 40, (packet.seqNum + 1) * packetPeriod - 1);
  putLE(bytes, at + 64, packet.seqNum);
}

/** Writes the index fields of `packet` that vary, at the nine fields that begin at `at`. Big endian. */
export function patchIndex(bytes: Buffer, at: number, packet: Packet): void {
  putBE(bytes, at + 16, packet.seqNum * packetPeriod);
  putBE(bytes, at + 24, (packet.seqNum + 1) * packetPeriod - 1);
  putBE(bytes, at + 48, packet.stream);
  putBE(bytes, at + 56, packet.seqNum);
}

/** The eight index fields after the offset, as they stand in SEND_INDEX from its 16th byte on and in the file. */
export function indexFields(packetSizeBytes: number): Buffer {
  const fields = Buffer.alloc(64);
  putBE(fields, 0, packetSizeBytes * 8);
  putBE(fields, 8, (packetSizeBytes - paddingSizeBytes) * 8);
  return fields;
}

/** Frames and index requests of up to `capacity` packets, rewritten in place by `fill`. */
export class Batch {
  readonly #frames: Buffer;
  readonly #indexes: Buffer;
  readonly #frameBytes: number;

  constructor(packetSizeBytes: number, capacity: number) {
    const content = packetContent(packetSizeBytes);
    const fields = indexFields(packetSizeBytes);
    this.#frameBytes = frameHeaderBytes + content.length;
    this.#frames = Buffer.alloc(this.#frameBytes * capacity);
    this.#indexes = Buffer.alloc(indexRequestBytes * capacity);
    for (let i = 0; i < capacity; i++) {
      const frame = this.#frameBytes * i;
      this.#frames.writeUInt32BE(content.length, frame + 24);
      this.#frames.writeUInt32BE(paddingSizeBytes, frame + 28);
      content.copy(this.#frames, frame + frameHeaderBytes);
      const index = indexRequestBytes * i;
      this.#indexes.writeUInt32BE(80, index + 12);
      this.#indexes.writeUInt32BE(command.sendIndex, index + 16);
      fields.copy(this.#indexes, index + 40);
    }
  }

  /** Makes `packet` the batch's `i`th. */
  put(i: number, packet: Packet): void {
    const frame = this.#frameBytes * i;
    putBE(this.#frames, frame + 8, packet.handle);
    putBE(this.#frames, frame + 16, packet.seqNum);
    patchContent(this.#frames, frame + frameHeaderBytes, packet);
    const index = indexRequestBytes * i;
    putBE(this.#indexes, index + 24, packet.handle);
    putBE(this.#indexes, index + 32, packet.seqNum);
    patchIndex(this.#indexes, index + 40, packet);
  }

  /** The first `count` frames; valid until the next `put`. */
  frames(count: number): Buffer {
    return this.#frames.subarray(0, this.#frameBytes * count);
  }

  /** The first `count` index requests; valid until the next `put`. */
  indexes(count: number): Buffer {
    return this.#indexes.subarray(0, indexRequestBytes * count);
  }
}

const unit = 2 ** 32;

/** A whole number below 2^53 as u64; halves, because BigInt would cost more than the rest of a packet. */
function putBE(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / unit), at);
  bytes.writeUInt32BE(value % unit, at + 4);
}

function putLE(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32LE(value % unit, at);
  bytes.writeUInt32LE(Math.floor(value / unit), at + 4);
}
