/** The types of fields, as metadata of either language declares them. Sizes and alignments in bits. */
import type { Role } from './roles.ts';

export type ByteOrder = 'little' | 'big';

export interface IntegerType {
  kind: 'integer';
  sizeBits: number;
  alignBits: number;
  signed: boolean;
  byteOrder: ByteOrder;
  /** Base to show it in. */
  base: 2 | 8 | 10 | 16;
  /** Set: eight bits of it are a part of a text array. */
  encoding?: Encoding;
  /** Name of the clock that it shows. */
  clock?: string;
  /** CTF 2: LEB128, of 64 bits at the most; `sizeBits` and `alignBits` are 64 and 8. */
  leb128?: true;
  /** CTF 2: false if it is 0. */
  boolean?: true;
}

/** Of strings and text arrays; those of more bytes a unit are CTF 2. */
export type Encoding = 'utf8' | 'ascii' | 'utf16le' | 'utf16be' | 'utf32le' | 'utf32be';

/**
 * Where the length of a sequence or the tag of a variant is found. CTF 1.8: words; the first ones may name a scope.
 * CTF 2 with an origin: the same. CTF 2 without: null, for the structure around the field, then names and further
 * nulls, which go up.
 */
export type FieldPath = readonly (string | null)[];

export interface FloatType {
  kind: 'float';
  sizeBits: 16 | 32 | 64;
  alignBits: number;
  byteOrder: ByteOrder;
}

/** Bytes up to a NUL. */
export interface StringType {
  kind: 'string';
  alignBits: 8;
  /** Set where a character has more bytes than one: its NUL has them too. */
  encoding?: Encoding;
}

export interface EnumType {
  kind: 'enum';
  container: IntegerType;
  /** In the order of the metadata; a label may have several ranges, ranges may overlap. */
  labels: readonly { label: string; low: bigint; high: bigint }[];
  alignBits: number;
}

/** `name` as declared, leading underscore and all. `ranges`: of a variant's option, CTF 2; 1.8 goes by labels. */
export interface Member {
  name: string;
  type: FieldType;
  role?: Role;
  ranges?: readonly Range[];
}

/** Both ends belong to it. */
export interface Range {
  low: bigint;
  high: bigint;
}

/** What types that hold others have in common. */
interface Named {
  /** Underscores that the names inside lose because the type was used by name: two each time. Source: ctf, "Names". */
  underscoresLost?: number;
}

export interface StructType extends Named {
  kind: 'struct';
  members: readonly Member[];
  alignBits: number;
}

export interface ArrayType extends Named {
  kind: 'array';
  element: FieldType;
  length: number;
  alignBits: number;
}

/** `lengthPath`: where the length is found, see `field-scope.ts`. */
export interface SequenceType extends Named {
  kind: 'sequence';
  element: FieldType;
  lengthPath: FieldPath;
  alignBits: number;
}

export interface VariantType extends Named {
  kind: 'variant';
  tagPath: FieldPath;
  options: readonly Member[];
  alignBits: 1;
}

/** CTF 2: a field that is there if the selector is true, or lies in one of the ranges. */
export interface OptionalType {
  kind: 'optional';
  selectorPath: FieldPath;
  ranges?: readonly Range[];
  field: FieldType;
  alignBits: 1;
}

export type FieldType =
  | IntegerType
  | FloatType
  | StringType
  | EnumType
  | StructType
  | ArrayType
  | SequenceType
  | VariantType
  | OptionalType;

/** The integer that a type is read as: itself, or the container of an enumeration. */
export function integerOf(type: FieldType): IntegerType | undefined {
  if (type.kind === 'integer') return type;
  return type.kind === 'enum' ? type.container : undefined;
}

const fixedSizes = new WeakMap<FieldType, number | 'varies'>();

/**
 * Bits that a field of this type takes from its own alignment on, where they depend on nothing else. May be more
 * than a file can hold, up to infinity.
 */
export function fixedSizeBits(type: FieldType): number | undefined {
  let size = fixedSizes.get(type);
  if (size === undefined) {
    size = measure(type) ?? 'varies';
    fixedSizes.set(type, size);
  }
  return size === 'varies' ? undefined : size;
}

function measure(type: FieldType): number | undefined {
  switch (type.kind) {
    case 'integer':
      return type.leb128 ? undefined : type.sizeBits;
    case 'float':
      return type.sizeBits;
    case 'enum':
      return fixedSizeBits(type.container);
    case 'array': {
      const size = fixedSizeBits(type.element);
      if (size === undefined) return undefined;
      return type.length === 0 ? 0 : (type.length - 1) * aligned(size, type.element.alignBits) + size;
    }
    case 'struct': {
      let at = 0;
      for (const member of type.members) {
        const size = fixedSizeBits(member.type);
        if (size === undefined) return undefined;
        at = aligned(at, member.type.alignBits) + size;
      }
      return at;
    }
    case 'string':
    case 'sequence':
    case 'variant':
    case 'optional':
      return undefined;
  }
}

/** The next multiple of an alignment. */
export function aligned(at: number, alignBits: number): number {
  return Math.ceil(at / alignBits) * alignBits;
}
