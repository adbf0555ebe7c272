/** A place in the bits of a packet. Source: ctf, "Encoding of fields". */
import { MillraceError } from '../errors.ts';
import { aligned, type ByteOrder, type IntegerType } from './field-types.ts';

/** Errors of all methods: MR_ERR_CTF_SHORT, MR_ERR_CTF_PACKET. */
export class BitCursor {
  readonly bytes: Buffer;
  /** Bits from the start of the packet. */
  at = 0;
  #lastOrder: ByteOrder | undefined;

  /** `bytes`: the packet from its first byte on, as much of it as there is. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  align(alignBits: number): void {
    this.at = aligned(this.at, alignBits);
  }

  /** Passes over bits; their number may be more than any file has. */
  skip(bits: number): void {
    this.#need(bits);
    this.at += bits;
    this.#lastOrder = undefined;
  }

  /** A new scope begins: its fields may have any byte order. */
  forgetOrder(): void {
    this.#lastOrder = undefined;
  }

  /** Reads an integer at its alignment. */
  integer(type: IntegerType): bigint {
    const { sizeBits, alignBits, byteOrder, signed } = type;
    this.align(alignBits);
    if (type.leb128) return this.#leb128(signed);
    this.#need(sizeBits);
    if (this.at % 8 !== 0 && this.#lastOrder !== undefined && this.#lastOrder !== byteOrder)
      throw new MillraceError('MR_ERR_CTF_PACKET', {
        why: `the byte order changes inside a byte, at bit ${this.at}`,
      });
    this.#lastOrder = byteOrder;
    const value =
      this.at % 8 === 0 && sizeBits % 8 === 0
        ? this.#whole(sizeBits, byteOrder)
        : this.#bits(sizeBits, byteOrder);
    this.at += sizeBits;
    return signed ? BigInt.asIntN(sizeBits, value) : value;
  }

  /** Passes over a string and its NUL. */
  skipString(): void {
    this.align(8);
    this.#need(8);
    const end = this.bytes.indexOf(0, this.at / 8);
    if (end < 0) this.#need(this.bytes.length * 8 - this.at + 8);
    this.at = (end + 1) * 8;
  }

  /** Seven bits a byte, the least significant first; the highest bit says that more follow. Source: CTF 2, LEB128. */
  #leb128(signed: boolean): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      this.#need(8);
      const byte = this.bytes[this.at / 8] as number;
      this.at += 8;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) {
        if (shift >= 63n)
          throw new MillraceError('MR_ERR_CTF_PACKET', { why: 'an integer of more than 64 bits' });
        continue;
      }
      const sizeBits = Number(shift) + 7;
      return signed ? BigInt.asIntN(Math.min(sizeBits, 64), value) : BigInt.asUintN(64, value);
    }
  }

  #whole(sizeBits: number, byteOrder: ByteOrder): bigint {
    const start = this.at / 8;
    const length = sizeBits / 8;
    if (length === 8)
      return byteOrder === 'little' ? this.bytes.readBigUInt64LE(start) : this.bytes.readBigUInt64BE(start);
    if (length > 6) return this.#bits(sizeBits, byteOrder);
    return BigInt(
      byteOrder === 'little' ? this.bytes.readUIntLE(start, length) : this.bytes.readUIntBE(start, length),
    );
  }

  #bits(sizeBits: number, byteOrder: ByteOrder): bigint {
    let value = 0n;
    for (let i = 0; i < sizeBits; i++) {
      const at = this.at + i;
      const byte = this.bytes[Math.floor(at / 8)] as number;
      if (byteOrder === 'little') value |= BigInt((byte >> (at % 8)) & 1) << BigInt(i);
      else value = (value << 1n) | BigInt((byte >> (7 - (at % 8))) & 1);
    }
    return value;
  }

  #need(bits: number): void {
    const got = this.bytes.length * 8;
    if (this.at + bits > got) throw new MillraceError('MR_ERR_CTF_SHORT', { expected: this.at + bits, got });
  }
}
