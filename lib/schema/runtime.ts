/**
 * What generated codecs call: checks of everything whose size or range the bytes or the caller decide. `where` is
 * the struct's name, `field` the field's.
 */
import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../errors.ts';
import type { Struct } from './types.ts';

let viewed: ArrayBufferLike = new ArrayBuffer(0);
let lastView: DataView = new DataView(viewed);

/**
 * A DataView of the memory behind a buffer; offsets count from the start of that memory. Only a DataView reads
 * 64 bits without intermediate bigints. Messages of one connection lie in one slab, so remembering the last one
 * saves nearly every construction.
 */
export function viewOf(bytes: Buffer): DataView {
  if (bytes.buffer !== viewed) {
    viewed = bytes.buffer;
    lastView = new DataView(viewed);
  }
  return lastView;
}

export function short(where: string, expected: number, got: number): MillraceError {
  return new MillraceError('MR_ERR_WIRE_SHORT', { what: where, expected, got });
}

export function long(where: string, expected: number, got: number): MillraceError {
  return new MillraceError('MR_ERR_WIRE_LONG', { what: where, expected, got });
}

export function notExpected(
  expected: number | bigint,
  got: number | bigint,
  where: string,
  field: string,
): MillraceError {
  return new MillraceError('MR_ERR_WIRE_VALUE', { what: where, field, expected, got });
}

function badString(where: string, field: string): MillraceError {
  return new MillraceError('MR_ERR_WIRE_STRING', { what: where, field });
}

function text(bytes: Buffer, where: string, field: string): string {
  if (!isUtf8(bytes)) throw badString(where, field);
  return bytes.toString('utf8');
}

/** The string in a char array of `size` bytes. */
export function readFixedString(
  bytes: Buffer,
  at: number,
  size: number,
  max: number,
  where: string,
  field: string,
): string {
  const length = bytes.subarray(at, at + size).indexOf(0);
  if (length < 0) throw badString(where, field);
  if (length > max) throw long(`${where}: ${field}`, max, length);
  return text(bytes.subarray(at, at + length), where, field);
}

/** The string of `length` bytes, NUL included. A NUL before the last byte would cut it short for C programs: refused. */
export function readSizedString(
  bytes: Buffer,
  at: number,
  end: number,
  length: number,
  max: number,
  where: string,
  field: string,
): string {
  if (length === 0) throw badString(where, field);
  if (length > max + 1) throw long(`${where}: ${field}`, max + 1, length);
  if (length > end - at) throw short(`${where}: ${field}`, length, end - at);
  const string = bytes.subarray(at, at + length);
  if (string.indexOf(0) !== length - 1) throw badString(where, field);
  return text(string.subarray(0, -1), where, field);
}

/** The string of `length` bytes that has no NUL behind it, and none in it. */
export function readText(
  bytes: Buffer,
  at: number,
  end: number,
  length: number,
  max: number,
  where: string,
  field: string,
): string {
  if (length > max) throw long(`${where}: ${field}`, max, length);
  if (length > end - at) throw short(`${where}: ${field}`, length, end - at);
  const string = bytes.subarray(at, at + length);
  if (string.includes(0)) throw badString(where, field);
  return text(string, where, field);
}

/** `count` structs. Their least size is compared with the bytes there are before anything is allocated. */
export function readList(
  bytes: Buffer,
  at: number,
  end: number,
  count: number,
  of: Struct<object>,
  max: number,
  where: string,
  field: string,
): object[] {
  if (count > max) throw long(`${where}: ${field}`, max, count);
  if (count * of.minSizeBytes > end - at)
    throw short(`${where}: ${field}`, count * of.minSizeBytes, end - at);
  const values: object[] = [];
  let next = at;
  for (let i = 0; i < count; i++) {
    const value = of.decode(bytes, next, end);
    next += of.sizeOf(value);
    values.push(value);
  }
  return values;
}

function outOfRange(where: string, field: string, got: unknown, expected: string): MillraceError {
  return new MillraceError('MR_ERR_WIRE_RANGE', { what: `${where}: ${field}`, got: String(got), expected });
}

/** Integers are checked when written: a DataView would cut off what does not fit. */
export function fitNumber(value: unknown, max: number, where: string, field: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw outOfRange(where, field, value, `0 to ${max}`);
}

export function fitBigint(value: unknown, min: bigint, max: bigint, where: string, field: string): bigint {
  if (typeof value === 'bigint' && value >= min && value <= max) return value;
  throw outOfRange(where, field, value, `${min} to ${max}`);
}

/** Length of a string on the wire, NUL included; 0 for none. */
export function sizedLength(value: string | undefined): number {
  return value === undefined ? 0 : Buffer.byteLength(value) + 1;
}

/** Writes a string and its NUL, and returns the bytes written. */
export function writeString(
  value: unknown,
  bytes: Buffer,
  at: number,
  max: number,
  where: string,
  field: string,
): number {
  if (typeof value !== 'string' || value.includes('\0')) throw badString(where, field);
  const length = Buffer.byteLength(value);
  if (length > max) throw long(`${where}: ${field}`, max, length);
  bytes.write(value, at, 'utf8');
  bytes[at + length] = 0;
  return length + 1;
}

/** Writes a string without a NUL behind it, and returns the bytes written. */
export function writeText(
  value: unknown,
  bytes: Buffer,
  at: number,
  max: number,
  where: string,
  field: string,
): number {
  if (typeof value !== 'string' || value.includes('\0')) throw badString(where, field);
  const length = Buffer.byteLength(value);
  if (length > max) throw long(`${where}: ${field}`, max, length);
  return bytes.write(value, at, 'utf8');
}

/** Bytes of a string that has no NUL. */
export function textLength(value: string): number {
  return Buffer.byteLength(value);
}

/** Writes exactly `size` bytes. */
export function writeBytes(
  value: Buffer,
  bytes: Buffer,
  at: number,
  size: number,
  where: string,
  field: string,
): void {
  if (value.length < size) throw short(`${where}: ${field}`, size, value.length);
  if (value.length > size) throw long(`${where}: ${field}`, size, value.length);
  bytes.set(value, at);
}

/** Writes structs one after the other and returns the offset behind them. */
export function writeList(
  values: readonly object[],
  bytes: Buffer,
  at: number,
  of: Struct<object>,
  max: number,
  where: string,
  field: string,
): number {
  if (values.length > max) throw long(`${where}: ${field}`, max, values.length);
  let next = at;
  for (const value of values) next = of.encodeInto(value, bytes, next);
  return next;
}
