/**
 * Type names and their scopes, and types from their declarations. A name means what the innermost scope says that
 * has it, and must be declared before it is used. Source: ctf, "Scopes of type names" and "Compounds".
 */
import type { EnumType, FieldType, IntegerType, Member, StructType, VariantType } from '../field-types.ts';
import { quoted } from './lexer.ts';
import { alignmentOf, scalarType, type TraceFacts } from './scalar-types.ts';
import type { Declarator, Expression, Item, Statement, TypeSpecifier } from './syntax.ts';

/** A variant may be named before it has its tag. */
type Named = FieldType | Omit<VariantType, 'tagPath'>;
type Space = 'alias' | 'struct' | 'variant' | 'enum';

/** A type as it is where its name stands for it. Source: ctf, "Names". */
function used(type: Named): Named {
  if (!isCompound(type)) return type;
  return { ...type, underscoresLost: ((type as StructType).underscoresLost ?? 0) + 2 } as Named;
}

function isCompound({ kind }: Named): boolean {
  return kind === 'struct' || kind === 'variant' || kind === 'array' || kind === 'sequence';
}

/** One scope. Errors of all methods: MR_ERR_CTF_METADATA. */
export class TypeScope {
  readonly #trace: TraceFacts;
  readonly #parent: TypeScope | undefined;
  readonly #names = new Map<string, Named>();

  constructor(trace: TraceFacts, parent?: TypeScope) {
    this.#trace = trace;
    this.#parent = parent;
  }

  inner(): TypeScope {
    return new TypeScope(this.#trace, this);
  }

  /** Takes up the names that a statement declares; of members nothing. */
  declare(statement: Statement | Extract<Item, { kind: 'declaration' }>): void {
    if (statement.kind === 'declaration') {
      this.#bodyOf(statement.type);
    } else if (statement.kind === 'typealias') {
      const { type, declarator, alias, at } = statement;
      this.#define('alias', alias.replace(/\b_Bool\b/g, 'bool'), this.typeOf(type, declarator), at);
    } else if (statement.kind === 'typedef') {
      const base = this.#typeOf(statement.type);
      for (const declarator of statement.declarators)
        this.#define('alias', declarator.name as string, this.#declared(base, declarator), declarator.at);
    }
  }

  /** The type of a declaration. */
  typeOf(specifier: TypeSpecifier, declarator: Declarator): FieldType {
    // Pointers have names of their own: `const char *`.
    if (specifier.kind === 'named' && declarator.pointers.length > 0) {
      const type = this.#alias([...specifier.words, ...declarator.pointers], specifier.at);
      const shown: FieldType = type.kind === 'integer' ? { ...type, base: 16 } : type;
      return this.#declared(shown, { ...declarator, pointers: [] });
    }
    return this.#declared(this.#typeOf(specifier), declarator);
  }

  #declared(base: FieldType, { pointers, lengths, at }: Declarator): FieldType {
    if (pointers.length > 0) throw this.#trace.error(at, 'a pointer to a type without a name');
    return lengths.reduceRight<FieldType>((element, length) => this.#array(element, length), base);
  }

  #array(element: FieldType, length: Expression): FieldType {
    const { alignBits } = element;
    const constant =
      length.kind === 'path' && length.words[0] === 'env'
        ? this.#trace.environment.get(length.words.slice(1).join('.'))
        : length.kind === 'integer'
          ? length.value
          : undefined;
    if (typeof constant === 'bigint' && constant >= 0n)
      return { kind: 'array', element, length: Number(constant), alignBits };
    if (length.kind !== 'path' || length.words[0] === 'env')
      throw this.#trace.error(length.at, 'the length of an array is no integer');
    return { kind: 'sequence', element, lengthPath: length.words, alignBits };
  }

  #typeOf(specifier: TypeSpecifier): FieldType {
    if (specifier.kind === 'named') return this.#alias(specifier.words, specifier.at);
    if (specifier.kind === 'scalar') return scalarType(specifier, this.#trace);
    const type = this.#bodyOf(specifier);
    if (type.kind !== 'variant') return type;
    if (specifier.kind !== 'variant' || specifier.tag === undefined)
      throw this.#trace.error(specifier.at, 'a variant without a tag');
    return { ...type, tagPath: [specifier.tag] };
  }

  #alias(words: readonly string[], at: number): FieldType {
    const name = words.join(' ').replace(/\b_Bool\b/g, 'bool');
    return used(this.#find('alias', name, at)) as FieldType;
  }

  /** A compound, under its name as well if it has one. */
  #bodyOf(specifier: TypeSpecifier): Exclude<Named, VariantType> | VariantType {
    if (specifier.kind === 'named' || specifier.kind === 'scalar') return this.#typeOf(specifier);
    const { kind, name, at } = specifier;
    const type = this.#compound(specifier);
    if (type === undefined) return used(this.#find(kind, name as string, at));
    if (name !== undefined) this.#define(kind, name, type, at);
    return type;
  }

  #compound(specifier: Extract<TypeSpecifier, { kind: 'struct' | 'variant' | 'enum' }>): Named | undefined {
    switch (specifier.kind) {
      case 'struct':
        return specifier.body === undefined ? undefined : this.#struct(specifier.body, specifier.align);
      case 'variant':
        return specifier.body === undefined
          ? undefined
          : { kind: 'variant', options: this.#members(specifier.body), alignBits: 1 };
      case 'enum':
        return specifier.labels === undefined ? undefined : this.#enum(specifier);
    }
  }

  #struct(body: readonly Statement[], align: Expression | undefined): StructType {
    const members = this.#members(body);
    const least = alignmentOf(align, 1, this.#trace);
    const alignBits = members.reduce((most, { type }) => Math.max(most, type.alignBits), least);
    return { kind: 'struct', members, alignBits };
  }

  #members(body: readonly Statement[]): Member[] {
    const scope = this.inner();
    const members: Member[] = [];
    const names = new Set<string>();
    for (const statement of body) {
      if (statement.kind !== 'member') {
        scope.declare(statement);
        continue;
      }
      // Spelled out once for all declarators: a name in it may be defined only once.
      const only = statement.declarators.length === 1 || statement.type.kind === 'named';
      const base = only ? undefined : scope.#typeOf(statement.type);
      for (const declarator of statement.declarators) {
        const name = declarator.name as string;
        if (names.has(name)) throw this.#trace.error(declarator.at, `${quoted(name)} twice`);
        names.add(name);
        const type =
          base === undefined ? scope.typeOf(statement.type, declarator) : scope.#declared(base, declarator);
        members.push({ name, type });
      }
    }
    return members;
  }

  #enum(specifier: Extract<TypeSpecifier, { kind: 'enum' }>): EnumType {
    const { at } = specifier;
    const container: FieldType =
      specifier.container === undefined ? this.#alias(['int'], at) : this.#typeOf(specifier.container);
    if (container.kind !== 'integer') throw this.#trace.error(at, 'an enumeration of no integer type');
    let next = 0n;
    const labels = (specifier.labels ?? []).map(({ label, range }) => {
      const { low, high } = range ?? { low: next, high: next };
      if (high < low) throw this.#trace.error(at, `label ${quoted(label)} ends before it begins`);
      next = high + 1n;
      const wrap = (value: bigint) =>
        container.signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
      return { label, low: wrap(low), high: wrap(high) };
    });
    return {
      kind: 'enum',
      container: container satisfies IntegerType,
      labels,
      alignBits: container.alignBits,
    };
  }

  #define(space: Space, name: string, type: Named, at: number): void {
    const key = `${space} ${name}`;
    if (this.#names.has(key)) throw this.#trace.error(at, `type ${quoted(name)} is declared twice`);
    this.#names.set(key, type);
  }

  #find(space: Space, name: string, at: number): Named {
    const found = this.#lookUp(`${space} ${name}`);
    if (found === undefined) throw this.#trace.error(at, `type ${quoted(name)} is not declared`);
    return found;
  }

  #lookUp(key: string): Named | undefined {
    const found = this.#names.get(key);
    return found === undefined && this.#parent !== undefined ? this.#parent.#lookUp(key) : found;
  }
}
