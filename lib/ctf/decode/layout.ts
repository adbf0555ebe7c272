/**
 * The layout of packets and events, ready to be decoded: every field of every scope once, types spelled out where they
 * are used, lengths and tags tied to the fields that hold them. `planner.ts` makes it from a trace class.
 */
import type { Encoding, FieldType, FloatType, IntegerType, Range } from '../field-types.ts';
import type { Role, ScopeName } from '../roles.ts';
import type { ClockClass, EventClass, StreamClass } from '../trace-class.ts';

interface Common {
  /** As declared: what lookups go by. */
  declaredName: string;
  /** As shown. */
  name: string;
  /** false: a reader leaves it out. Source: ctf, "Scopes". */
  shown: boolean;
  type: FieldType;
  alignBits: number;
}

/** An integer that others need: a length or a tag. */
export interface Slot {
  field: IntegerField;
  scope: ScopeName;
  /** It may not have been decoded when it is needed. */
  conditional: boolean;
  /** Needed by a function other than the one that decodes it: a number counted over the stream class. */
  shared: number | undefined;
}

export interface IntegerField extends Common {
  kind: 'integer';
  integer: IntegerType;
  /** Labels of an enumeration, in their order. */
  labels: readonly ({ label: string } & Range)[] | undefined;
  role: Role | undefined;
  slot: Slot | undefined;
}

export interface FloatField extends Common {
  kind: 'float';
  float: FloatType;
}

/** Bytes up to a NUL. */
export interface StringField extends Common {
  kind: 'string';
  encoding: Encoding;
}

/** Bytes of a fixed or decoded number, of which those up to the first NUL are a string. */
export interface TextField extends Common {
  kind: 'text';
  encoding: Encoding;
  length: number | Slot;
}

export interface StructField extends Common {
  kind: 'struct';
  members: Field[];
}

export interface ArrayField extends Common {
  kind: 'array';
  element: Field;
  length: number | Slot;
}

export interface VariantField extends Common {
  kind: 'variant';
  tag: Slot;
  /** The first one that has the tag's value in a range counts. */
  options: { field: Field; ranges: readonly Range[] }[];
}

export interface OptionalField extends Common {
  kind: 'optional';
  selector: Slot;
  /** Undefined: whatever is not 0. */
  ranges: readonly Range[] | undefined;
  field: Field;
}

export type Field =
  | IntegerField
  | FloatField
  | StringField
  | TextField
  | StructField
  | ArrayField
  | VariantField
  | OptionalField;

export interface EventLayout {
  event: EventClass;
  context: StructField | undefined;
  payload: StructField | undefined;
}

/** All scopes of a stream class, in the order of decoding, then its events. */
export interface StreamLayout {
  stream: StreamClass;
  clock: ClockClass | undefined;
  packetHeader: StructField | undefined;
  packetContext: StructField | undefined;
  eventHeader: StructField | undefined;
  eventContext: StructField | undefined;
  events: ReadonlyMap<bigint, EventLayout>;
  /** How many slots are shared between functions. */
  sharedSlots: number;
}

/** Functions that decode one scope after the other: what one of them decodes another finds in a shared slot. */
export function stepOf(scope: ScopeName): 'packet' | 'header' | 'body' {
  if (scope === 'packetHeader' || scope === 'packetContext') return 'packet';
  return scope === 'eventHeader' ? 'header' : 'body';
}
