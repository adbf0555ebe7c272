/**
 * What a compiled decoder does with the fields that it reads. An emitter writes statements into the code at the places
 * where fields are known; the decoder around them is the same for all.
 */

import type { ScopeName } from '../roles.ts';
import type { Code } from './code.ts';
import type {
  ArrayField,
  Field,
  FloatField,
  IntegerField,
  OptionalField,
  StringField,
  StructField,
  TextField,
  VariantField,
} from './layout.ts';

/** An integer at hand: `low` alone where it has 32 bits at the most, with its sign; else two words, `high` with the sign. */
export interface Words {
  low: string;
  high: string | undefined;
}

export interface Emitter {
  /** Statements at the beginning and at the end of the function. */
  begin(): void;
  end(): void;
  /** Before the structure of a scope that is shown. */
  scope(name: ScopeName): void;
  open(field: StructField | ArrayField | VariantField): void;
  close(field: StructField | ArrayField | VariantField): void;
  member(field: Field, isFirst: boolean): void;
  /** `index`: name of the variable that counts the elements. */
  element(index: string): void;
  /** The option of a variant, before its value. */
  option(field: Field): void;
  integer(field: IntegerField, value: Words): void;
  float(field: FloatField, value: string): void;
  /** A string that begins at the byte `start` and has its NUL before `end`; returns the byte of the NUL. */
  string(field: StringField, start: string, end: string): string;
  /** The bytes from `start` to `end`, of which those up to the first NUL count. */
  text(field: TextField, start: string, end: string): void;
  /** An optional field that is not there. */
  absent(field: OptionalField): void;
  /** Before statements part or repeat, and at the end of each part; behind it all, and at the beginning of a loop. */
  fork(): void;
  join(): void;
}

/** Makes the emitter of one function. */
export type MakeEmitter = (code: Code) => Emitter;
