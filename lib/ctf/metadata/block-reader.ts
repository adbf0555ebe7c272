/** What the blocks of TSDL have in common: entries that stand once, and types behind `:=`. Source: ctf, "Blocks". */
import type { MillraceError } from '../../errors.ts';
import type { FieldType, StructType } from '../field-types.ts';
import { quoted } from './lexer.ts';
import { wordOf } from './scalar-types.ts';
import type { Entry, Item } from './syntax.ts';
import type { TypeScope } from './type-scope.ts';

export type Block = Extract<Item, { kind: 'block' }>;
export type ValueEntry = Extract<Entry, { kind: 'value' }>;

/** One block. Errors of all methods: MR_ERR_CTF_METADATA. */
export class BlockReader {
  readonly block: Block;
  readonly #error: (at: number, why: string) => MillraceError;

  constructor(block: Block, error: (at: number, why: string) => MillraceError) {
    this.block = block;
    this.#error = error;
  }

  /** An error at an entry, or at the block. */
  error(why: string, entry?: { at: number }): MillraceError {
    return this.#error(entry?.at ?? this.block.at, why);
  }

  value(name: string): ValueEntry | undefined {
    let found: ValueEntry | undefined;
    for (const entry of this.block.entries) {
      if (entry.kind !== 'value' || entry.name !== name) continue;
      if (found !== undefined) throw this.error(`${quoted(name)} twice`, entry);
      found = entry;
    }
    return found;
  }

  text(name: string): string | undefined {
    const entry = this.value(name);
    return entry && wordOf(entry.value);
  }

  integer(name: string): bigint | undefined {
    const entry = this.value(name);
    if (entry === undefined) return undefined;
    if (entry.value.kind !== 'integer') throw this.error(`${quoted(name)} is no integer`, entry);
    return entry.value.value;
  }

  /** An integer that is not negative. */
  count(name: string): bigint | undefined {
    const count = this.integer(name);
    if (count !== undefined && count < 0n) throw this.error(`${quoted(name)} is negative`, this.value(name));
    return count;
  }

  /** The types behind `:=`, by name. */
  types(outer: TypeScope): Map<string, FieldType> {
    const scope = outer.inner();
    const types = new Map<string, FieldType>();
    for (const entry of this.block.entries) {
      if (entry.kind === 'typedef' || entry.kind === 'typealias') scope.declare(entry);
      if (entry.kind !== 'type') continue;
      if (types.has(entry.name)) throw this.error(`${quoted(entry.name)} twice`, entry);
      types.set(entry.name, scope.typeOf(entry.type, entry.declarator));
    }
    return types;
  }

  /** What is declared for a scope must be a structure. */
  struct(type: FieldType | undefined, what: string): StructType | undefined {
    if (type === undefined || type.kind === 'struct') return type;
    throw this.error(`${what} is no structure`);
  }
}
