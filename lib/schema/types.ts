/**
 * The words a layout is declared with. A type is plain data: codec, dump, reference tables and test generators
 * each walk it. `carries` exists for the compiler only: it is the TypeScript type of a decoded value, `never`
 * for what is on the wire but not in the value (padding, constants).
 */
import assert from 'node:assert';

interface Carries<T> {
  readonly carries?: () => T;
}

export interface Integer {
  readonly kind: 'integer';
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  /** A boolean: any value but 0 is true; written as 1. */
  readonly flag: boolean;
  /** The only value allowed. */
  readonly constant: number | bigint | undefined;
  /** See `id`. */
  readonly names?: string;
}

/**
 * A presence byte and an integer; the integer is on the wire, as 0, when it is absent too. `paddingSizeBytes` lie
 * between them where a compiler aligned the integer.
 */
export interface Optional {
  readonly kind: 'optional';
  readonly of: Integer;
  readonly paddingSizeBytes: number;
}

export interface Bytes {
  readonly kind: 'bytes';
  readonly sizeBytes: number;
}

export interface Padding {
  readonly kind: 'padding';
  readonly sizeBytes: number;
}

/** `maxBytes` counts without the NUL. */
export interface FixedString {
  readonly kind: 'fixedString';
  readonly sizeBytes: number;
  readonly maxBytes: number;
}

/** `maxBytes` counts without the NUL, the length field with it. */
export interface SizedString<L extends string = string> {
  readonly kind: 'sizedString';
  readonly lengthField: L;
  readonly maxBytes: number;
  readonly optional: boolean;
}

/** Text without a NUL; `maxBytes` counts as the length field does. */
export interface Text<L extends string = string> {
  readonly kind: 'text';
  readonly lengthField: L;
  readonly maxBytes: number;
}

export interface List<L extends string = string> {
  readonly kind: 'list';
  readonly lengthField: L;
  readonly of: Struct<object>;
  readonly max: number;
}

export interface Rest {
  readonly kind: 'rest';
}

/** Every type there is. */
export type Shape = Integer | Optional | Bytes | Padding | FixedString | SizedString | Text | List | Rest;

/** A shape together with the TypeScript type of its decoded value. */
export type Type<T, S extends Shape = Shape> = S & Carries<T>;

/** `[name, type, unit or meaning, note]`: one line of a layout. */
export type Field = readonly [name: string, type: Shape, unit: string, note?: string];

type Carried<S> = S extends { readonly carries?: () => infer T } ? T : never;

/** Names that only say how long something else is: they are derived, so a value does not have them. */
type Derived<F extends readonly Field[]> = F[number][1] extends infer S
  ? S extends { readonly lengthField: infer L }
    ? L
    : never
  : never;

/** The decoded value of a list of fields. */
export type ValueOf<F extends readonly Field[]> = {
  [K in F[number] as K[0] extends Derived<F>
    ? never
    : [Carried<K[1]>] extends [never]
      ? never
      : K[0]]: Carried<K[1]>;
};

/** What a declared layout can do. Made by `struct`. */
export interface Struct<T extends object> {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly endian: 'big' | 'little';
  /** Whether bytes behind the last field are an error. */
  readonly exact: boolean;
  /** Bytes of the shortest valid encoding. */
  readonly minSizeBytes: number;
  /** Bytes of every encoding, or undefined where they depend on the value. */
  readonly fixedSizeBytes: number | undefined;
  /**
   * The value of the bytes `[start, end)`. Byte fields are views: they live as long as `bytes` is left alone.
   * Bytes behind the last field are allowed unless the layout is exact. Throws `MR_ERR_WIRE_SHORT`,
   * `MR_ERR_WIRE_LONG`, `MR_ERR_WIRE_STRING`, `MR_ERR_WIRE_VALUE`.
   */
  decode(bytes: Buffer, start?: number, end?: number): T;
  /** The bytes of a value, in memory of their own. Errors as `encodeInto`. */
  encode(value: T): Buffer;
  /**
   * Writes a value at an offset and returns the offset behind it. Throws `MR_ERR_WIRE_SHORT` (no room),
   * `MR_ERR_WIRE_LONG`, `MR_ERR_WIRE_STRING`, `MR_ERR_WIRE_VALUE`, `MR_ERR_WIRE_RANGE`.
   */
  encodeInto(value: T, bytes: Buffer, at: number): number;
  /** Bytes that the value takes on the wire. */
  sizeOf(value: T): number;
  /** Annotated hex, one line a field: offset, bytes, name = value, unit. Truncated and broken bytes are fine. */
  dump(bytes: Buffer, start?: number, end?: number): string;
  /** Offset of a field from the start, bytes. The offset must not depend on the value. */
  offsetOf(field: string): number;
}

/** The TypeScript type of a struct's decoded value. */
export type Value<S> = S extends { decode(bytes: Buffer): infer T } ? T : never;

const integer = (sizeBytes: Integer['sizeBytes'], signed: boolean): Integer => ({
  kind: 'integer',
  sizeBytes,
  signed,
  flag: false,
  constant: undefined,
});

/** Integers up to 32 bits are numbers, of 64 bits bigints. Byte order is the struct's. */
export const u8: Type<number, Integer> = integer(1, false);
export const u16: Type<number, Integer> = integer(2, false);
export const u32: Type<number, Integer> = integer(4, false);
export const u64: Type<bigint, Integer> = integer(8, false);
export const i64: Type<bigint, Integer> = integer(8, true);

/** An integer that is a boolean: any value but 0 is true; true is written as 1. */
export function flag(of: Type<number, Integer>): Type<boolean, Integer> {
  return { ...integer(of.sizeBytes, of.signed), flag: true };
}

/**
 * A number that whoever answers has given to something of the sort `names`, and that stands for it from then on: another
 * one gives another number to the same thing.
 */
export function id(names: string): Type<bigint, Integer> {
  return { ...u64, names };
}

/** An integer with one allowed value, such as a magic number. On the wire only, not in the value. */
export function constant<T extends number | bigint>(of: Type<T, Integer>, value: T): Type<never, Integer> {
  return { ...integer(of.sizeBytes, of.signed), constant: value };
}

/**
 * A presence byte and an integer, undefined where the byte is 0. `padding`: bytes between them, written as zeros
 * and ignored when read.
 */
export function optional<T>(of: Type<T, Integer>, { padding = 0 } = {}): Type<T | undefined, Optional> {
  return { kind: 'optional', of, paddingSizeBytes: padding };
}

/** A fixed number of bytes, decoded as a view. */
export function bytes(sizeBytes: number): Type<Buffer, Bytes> {
  return { kind: 'bytes', sizeBytes };
}

/** Bytes without meaning: written as zeros, ignored when read. */
export function padding(sizeBytes: number): Type<never, Padding> {
  return { kind: 'padding', sizeBytes };
}

/**
 * A char array: NUL-terminated within the field, the rest zero. What follows the NUL is ignored when read.
 * `max`: bytes allowed without NUL, where the protocol allows less than the field holds.
 */
export function fixedString(sizeBytes: number, { max = sizeBytes - 1 } = {}): Type<string, FixedString> {
  assert(max < sizeBytes, 'a NUL has to fit behind the longest string');
  return { kind: 'fixedString', sizeBytes, maxBytes: max };
}

/** A string whose length, final NUL included, is in an earlier field. `max`: bytes allowed without NUL. */
export function sizedString<const L extends string>(
  lengthField: L,
  { max }: { max: number },
): Type<string, SizedString<L>> {
  return { kind: 'sizedString', lengthField, maxBytes: max, optional: false };
}

/** As `sizedString`, but length 0 is allowed and means that there is none: undefined. */
export function optionalString<const L extends string>(
  lengthField: L,
  { max }: { max: number },
): Type<string | undefined, SizedString<L>> {
  return { kind: 'sizedString', lengthField, maxBytes: max, optional: true };
}

/** A string without a NUL whose length is in an earlier field; it may be empty. `max`: bytes allowed. */
export function text<const L extends string>(
  lengthField: L,
  { max }: { max: number },
): Type<string, Text<L>> {
  return { kind: 'text', lengthField, maxBytes: max };
}

/** Structs one after the other, as many as an earlier field says; `max`: how many are allowed. */
export function list<const L extends string, T extends object>(
  lengthField: L,
  of: Struct<T>,
  { max }: { max: number },
): Type<T[], List<L>> {
  assert(!of.exact && !of.fields.some(([, type]) => type.kind === 'rest'), 'an element must end by itself');
  return { kind: 'list', lengthField, of: of as Struct<object>, max };
}

/** All bytes that remain, decoded as a view; only as the last field. */
export const rest: Type<Buffer, Rest> = { kind: 'rest' };
