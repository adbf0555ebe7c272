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
  /** Set: eight bits of it are a character of a text array. */
  encoding?: 'utf8' | 'ascii';
  /** Name of the clock that it shows. */
  clock?: string;
}

export interface FloatType {
  kind: 'float';
  sizeBits: 32 | 64;
  alignBits: number;
  byteOrder: ByteOrder;
}

/** Bytes up to a NUL. */
export interface StringType {
  kind: 'string';
  alignBits: 8;
}

export interface EnumType {
  kind: 'enum';
  container: IntegerType;
  /** In the order of the metadata; a label may have several ranges, ranges may overlap. */
  labels: readonly { label: string; low: bigint; high: bigint }[];
  alignBits: number;
}

/** `name` as declared, leading underscore and all. */
export interface Member {
  name: string;
  type: FieldType;
  role?: Role;
}

export interface StructType {
  kind: 'struct';
  members: readonly Member[];
  alignBits: number;
}

export interface ArrayType {
  kind: 'array';
  element: FieldType;
  length: number;
  alignBits: number;
}

/** `lengthPath`: where the length is found, see `field-scope.ts`. */
export interface SequenceType {
  kind: 'sequence';
  element: FieldType;
  lengthPath: readonly string[];
  alignBits: number;
}

export interface VariantType {
  kind: 'variant';
  tagPath: readonly string[];
  options: readonly Member[];
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
  | VariantType;

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
    case 'float':
      return type.sizeBits;
    case 'enum':
      return type.container.sizeBits;
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
      return undefined;
  }
}

/** The next multiple of an alignment. */
export function aligned(at: number, alignBits: number): number {
  return Math.ceil(at / alignBits) * alignBits;
}
