/** What compiled decoders call for fields that are too rare or too odd to be spelled out in place. */
import type { Encoding, Range } from '../field-types.ts';
import { BeyondError, type Cursor, eventError } from './cursor.ts';

/** At most 32 bits from anywhere, the first bit being the least significant of its byte. */
function little(bytes: Uint8Array, bit: number, sizeBits: number): number {
  let at = bit >>> 3;
  const shift = bit & 7;
  let value = (bytes[at] as number) >>> shift;
  for (let got = 8 - shift; got < sizeBits; got += 8) {
    at += 1;
    value |= (bytes[at] as number) << got;
  }
  return (sizeBits === 32 ? value : value & (2 ** sizeBits - 1)) >>> 0;
}

/** The same, the first bit being the most significant of its byte and of the value. */
function big(bytes: Uint8Array, bit: number, sizeBits: number): number {
  let at = bit >>> 3;
  let got = 8 - (bit & 7);
  let value = (bytes[at] as number) & (0xff >>> (bit & 7));
  if (got >= sizeBits) return value >>> (got - sizeBits);
  for (; got + 8 <= sizeBits; got += 8) {
    at += 1;
    value = (value << 8) | (bytes[at] as number);
  }
  const rest = sizeBits - got;
  if (rest > 0) value = (value << rest) | ((bytes[at + 1] as number) >>> (8 - rest));
  return value >>> 0;
}

/** A LEB128 integer: low and high word and the byte behind it. */
const lebResult = { low: 0, high: 0, end: 0, bits: 0 };
function leb128(bytes: Uint8Array, start: number, signed: boolean): typeof lebResult {
  let value = 0n;
  let at = start;
  let shift = 0n;
  for (; ; shift += 7n) {
    const byte = bytes[at];
    if (byte === undefined) throw new RangeError();
    if (shift > 63n) throw eventError(start * 8, 'an integer of more than 64 bits');
    at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const bits = Math.min(Number(shift) + 7, 64);
  if (signed) value = BigInt.asIntN(bits, value);
  lebResult.low = Number(BigInt.asUintN(32, value));
  lebResult.high = Number(signed ? BigInt.asIntN(32, value >> 32n) : BigInt.asUintN(32, value >> 32n));
  lebResult.end = at;
  lebResult.bits = bits;
  return lebResult;
}

/** The clock after a field of `bits` bits, other than 32 or 64, has shown a part of it. */
function moveClock(clock: Uint32Array, bits: number, low: number, high: number): void {
  const now = ((BigInt(clock[1] as number) << 32n) | BigInt(clock[0] as number)) as bigint;
  const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const mask = (1n << BigInt(bits)) - 1n;
  const base = value < (now & mask) ? now + mask + 1n : now;
  const next = (base & ~mask) | value;
  clock[0] = Number(next & 0xffff_ffffn);
  clock[1] = Number((next >> 32n) & 0xffff_ffffn);
}

/** The byte of the NUL at or behind `start`, before `end`. */
function nul(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0) at += 1;
  if (at >= end) throw new RangeError();
  return at;
}

/** Bytes of one unit of a character. */
export function unitBytes(encoding: Encoding): 1 | 2 | 4 {
  return encoding.startsWith('utf16') ? 2 : encoding.startsWith('utf32') ? 4 : 1;
}

/** The byte of the NUL unit at or behind `start`; `end`: where there is none. */
function wideNul(bytes: Uint8Array, start: number, end: number, unit: number): number {
  for (let at = start; at + unit <= end; at += unit) {
    let i = 0;
    while (i < unit && bytes[at + i] === 0) i += 1;
    if (i === unit) return at;
  }
  return end;
}

/** A string of CTF 2 whose characters have more bytes than one: up to its NUL, as text. */
export function wideText(bytes: Uint8Array, start: number, end: number, encoding: Encoding): string {
  const unit = unitBytes(encoding);
  const stop = unit === 1 ? end : wideNul(bytes, start, end, unit);
  const isBig = encoding.endsWith('be');
  let text = '';
  for (let at = start; at + unit <= stop; at += unit) {
    let code = 0;
    for (let i = 0; i < unit; i++) code = code * 256 + (bytes[isBig ? at + i : at + unit - 1 - i] as number);
    text += unit === 4 ? String.fromCodePoint(code > 0x10ffff ? 0xfffd : code) : String.fromCharCode(code);
  }
  return text;
}

/** Which option a tag of more than 32 bits selects; -1: none. */
function pick(options: readonly (readonly Range[])[], signed: boolean, low: number, high: number): number {
  const value = signed
    ? (BigInt(high | 0) << 32n) | BigInt(low >>> 0)
    : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return options.findIndex((ranges) => ranges.some((range) => range.low <= value && value <= range.high));
}

const scratch = new DataView(new ArrayBuffer(8));

/** A floating point number from its bits. */
function float(sizeBits: number, low: number, high: number): number {
  if (sizeBits === 16) return half(low);
  scratch.setUint32(0, sizeBits === 64 ? high : low);
  scratch.setUint32(4, low);
  return sizeBits === 64 ? scratch.getFloat64(0) : scratch.getFloat32(0);
}

function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (fraction + 1024) * 2 ** (exponent - 25);
  return bits >> 15 ? -size : size;
}

/** Told with its place by `decodeError`. */
function beyond(): never {
  throw new RangeError();
}

function fail(bit: number, why: string): never {
  throw eventError(bit, why);
}

/** Bits that are to come at the least, checked before anything is done that many times. */
function checkLength(cursor: Cursor, bit: number, length: number): void {
  if (length > cursor.packetBits - bit)
    throw new BeyondError(
      `it has ${length} bits or more from bit ${bit} on, the packet ends at ${cursor.packetBits}`,
    );
}

/** The functions by the names that compiled text has for them. */
export const runtime = {
  little,
  big,
  leb128,
  moveClock,
  nul,
  wideNul,
  wideText,
  pick,
  float,
  fail,
  beyond,
  checkLength,
};
