/**
 * What a packet says of itself: its header and context, for whatever layout its metadata declares. Source: ctf,
 * "Packets" and "Clocks and time".
 */
import { MillraceError } from '../errors.ts';
import { BitCursor } from './bit-cursor.ts';
import { type Found, ScopeWalker } from './field-scope.ts';
import { integerOf, type StructType } from './field-types.ts';
import type { Role } from './roles.ts';
import type { StreamClass, TraceClass } from './trace-class.ts';

export const packetMagic = 0xc1fc1fc1;

/** A member is undefined where the layout has no such field. */
export interface PacketHeader {
  /** Always `packetMagic` where it is there. */
  magic: number | undefined;
  /** A view of the packet. */
  uuid: Buffer | undefined;
  streamClassId: bigint;
  streamInstanceId: bigint | undefined;
  /** Where only one of the sizes is there, both are that one; without any, the packet is all of its file. */
  packetSizeBits: bigint | undefined;
  contentSizeBits: bigint | undefined;
  timestampBeginCycles: bigint | undefined;
  timestampEndCycles: bigint | undefined;
  eventsDiscarded: bigint | undefined;
  packetSeqNum: bigint | undefined;
  /** Bits of header and context: where the first event may begin. */
  headerBits: number;
}

/** Reads the packets of one trace. Keeps nothing of one packet for the next. */
export class PacketReader {
  readonly trace: TraceClass;
  /** The bytes of the magic number; undefined: packets of this trace do not begin with one. */
  readonly magicBytes: Buffer | undefined;

  constructor(trace: TraceClass) {
    this.trace = trace;
    this.magicBytes = magicBytesOf(trace);
  }

  /**
   * Decodes the header and context of the packet that `bytes` begin with; behind them may be anything or nothing.
   * `clockCycles`: what the stream's clock showed before; timestamps of less than 64 bits go on from there, having
   * wrapped once at the most. Errors: MR_ERR_CTF_SHORT (more bytes are needed), MR_ERR_CTF_MAGIC,
   * MR_ERR_CTF_STREAM_CLASS, MR_ERR_CTF_PACKET.
   */
  packetAt(bytes: Buffer, clockCycles = 0n): PacketHeader {
    const cursor = new BitCursor(bytes);
    const walker = new ScopeWalker(cursor);
    const { found } = walker;
    const { packetHeader } = this.trace;
    this.#checkMagic(bytes);
    walker.walk('trace.packet.header.', packetHeader);
    const stream = this.#streamOf(found.streamClassId);
    walker.walk('stream.packet.context.', stream.packetContext);
    const begin = extended(found, 'timestampBeginCycles', stream, clockCycles);
    return {
      magic: found.magic === undefined ? undefined : Number(found.magic),
      uuid: found.uuid,
      streamClassId: stream.id,
      streamInstanceId: found.streamInstanceId,
      packetSizeBits: found.packetSizeBits ?? found.contentSizeBits,
      contentSizeBits: found.contentSizeBits ?? found.packetSizeBits,
      timestampBeginCycles: begin,
      timestampEndCycles: extended(found, 'timestampEndCycles', stream, begin ?? clockCycles),
      eventsDiscarded: found.eventsDiscarded,
      packetSeqNum: found.packetSeqNum,
      headerBits: cursor.at,
    };
  }

  /** Bits of the field with this role in the context of a stream class; undefined: it has none. */
  sizeOfRole(streamClassId: bigint, role: Role): number | undefined {
    const stream = this.trace.streams.get(streamClassId);
    return stream && sizeOf(stream, role);
  }

  /** The first thing that is looked at: without it, nothing else means what it says. */
  #checkMagic(bytes: Buffer): void {
    const magic = this.magicBytes;
    if (magic === undefined) return;
    const got = bytes.subarray(0, 4);
    if (got.length < 4) throw new MillraceError('MR_ERR_CTF_SHORT', { expected: 32, got: got.length * 8 });
    if (!got.equals(magic)) throw new MillraceError('MR_ERR_CTF_MAGIC', { got: got.toString('hex') });
  }

  #streamOf(id: bigint | undefined): StreamClass {
    const { streams } = this.trace;
    if (id !== undefined) {
      const stream = streams.get(id);
      if (stream === undefined)
        throw new MillraceError('MR_ERR_CTF_STREAM_CLASS', {
          got: id,
          why: 'the metadata has none of this id',
        });
      return stream;
    }
    const [only] = streams.values();
    if (only === undefined || streams.size > 1)
      throw new MillraceError('MR_ERR_CTF_STREAM_CLASS', {
        got: 'without id',
        why: `the metadata has ${streams.size}`,
      });
    return only;
  }
}

function magicBytesOf({ packetHeader }: TraceClass): Buffer | undefined {
  const [first] = packetHeader?.members ?? [];
  const type = first?.role === 'magic' ? integerOf(first.type) : undefined;
  if (type === undefined) return undefined;
  const bytes = Buffer.alloc(4);
  if (type.byteOrder === 'little') bytes.writeUInt32LE(packetMagic);
  else bytes.writeUInt32BE(packetMagic);
  return bytes;
}

function extended(
  found: Found,
  role: 'timestampBeginCycles' | 'timestampEndCycles',
  stream: StreamClass,
  clock: bigint,
) {
  const value = found[role];
  const sizeBits = sizeOf(stream, role);
  if (value === undefined || sizeBits === undefined || sizeBits === 64) return value;
  const mask = (1n << BigInt(sizeBits)) - 1n;
  const base = value < (clock & mask) ? clock + mask + 1n : clock;
  return (base & ~mask) | value;
}

function sizeOf({ packetContext }: StreamClass, role: Role): number | undefined {
  const type = memberOf(packetContext, role)?.type;
  return type && integerOf(type)?.sizeBits;
}

function memberOf(struct: StructType | undefined, role: Role) {
  return struct?.members.find((member) => member.role === role);
}
