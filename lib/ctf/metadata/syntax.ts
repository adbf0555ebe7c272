/** What the parser makes of TSDL: the shape of the text, before any name is looked up. `at`: offset in the text. */

export type Expression =
  | { kind: 'integer'; value: bigint; at: number }
  | { kind: 'string'; value: string; at: number }
  /** `clock.monotonic.value`, also a single word. */
  | { kind: 'path'; words: string[]; at: number };

/** `size = 32`, in an integer, floating point or string type. */
export interface Attribute {
  name: string;
  value: Expression;
  at: number;
}

/** One label of an enumeration with its range; undefined: one more than the label before. */
export interface EnumLabel {
  label: string;
  range: { low: bigint; high: bigint } | undefined;
}

/** The part of a declaration that names or spells out a type. */
export type TypeSpecifier =
  | { kind: 'scalar'; keyword: 'integer' | 'floating_point' | 'string'; attributes: Attribute[]; at: number }
  | { kind: 'struct'; name?: string; body?: Statement[]; align?: Expression; at: number }
  | { kind: 'variant'; name?: string; tag?: string; body?: Statement[]; at: number }
  | { kind: 'enum'; name?: string; container?: TypeSpecifier; labels?: EnumLabel[]; at: number }
  /** A name of one or more words: `uint8_t`, `unsigned long`, `const char`. */
  | { kind: 'named'; words: string[]; at: number };

/** What stands around a name: `* const` before it, lengths of arrays behind it, outermost first. */
export interface Declarator {
  pointers: string[];
  /** Undefined in a type alias. */
  name?: string;
  lengths: Expression[];
  at: number;
}

/** Inside a structure or variant; the first two in any scope. */
export type Statement =
  | { kind: 'typedef'; type: TypeSpecifier; declarators: Declarator[]; at: number }
  | { kind: 'typealias'; type: TypeSpecifier; declarator: Declarator; alias: string; at: number }
  | { kind: 'member'; type: TypeSpecifier; declarators: Declarator[]; at: number };

/** Inside a block: `id = 0;` or `packet.header := struct { … };`. `name`: the words joined by dots. */
export type Entry =
  | Exclude<Statement, { kind: 'member' }>
  | { kind: 'value'; name: string; value: Expression; at: number }
  | { kind: 'type'; name: string; type: TypeSpecifier; declarator: Declarator; at: number };

export type BlockKind = 'event' | 'stream' | 'env' | 'trace' | 'clock' | 'callsite';

/** At the top level. */
export type Item =
  | Exclude<Statement, { kind: 'member' }>
  /** `struct s { … };`, for its name. */
  | { kind: 'declaration'; type: TypeSpecifier; at: number }
  | { kind: 'block'; block: BlockKind; entries: Entry[]; at: number };
