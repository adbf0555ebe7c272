/**
 * A recursive-descent parser of TSDL: one method a rule of the grammar, which README.md beside this file spells out.
 * Source: ctf, "TSDL: grammar". Whether a word names a type shows in its place: it does where no word of the
 * declaration has named one yet.
 */
import { limits } from '../../limits.ts';
import type {
  Attribute,
  BlockKind,
  Declarator,
  Entry,
  EnumLabel,
  Expression,
  Item,
  Statement,
  TypeSpecifier,
} from './syntax.ts';
import { TokenCursor } from './token-cursor.ts';

const blocks = new Set(['event', 'stream', 'env', 'trace', 'clock', 'callsite']);
const basicTypes = new Set(
  'void char short int long float double signed unsigned _Bool _Complex _Imaginary'.split(' '),
);

/**
 * The items of a metadata text, one after the other: nothing of those that the caller drops is kept. What the caller
 * keeps counts towards `limits.metadataTokens`: everything, or everything but events. `text`: Latin-1.
 * Errors: MR_ERR_CTF_METADATA, with line and column.
 */
export function* parseTsdl(text: string, keepsEvents = false): Generator<Item, void> {
  const parser = new Parser(text);
  for (;;) {
    const { taken } = parser;
    const item = parser.item();
    if (item === undefined) return;
    yield item;
    // There may be any number of events where nobody keeps them.
    if (!keepsEvents && item.kind === 'block' && item.block === 'event') parser.taken = taken;
  }
}

class Parser extends TokenCursor {
  item(): Item | undefined {
    const { kind, text, at } = this.token;
    if (kind === 'end') return undefined;
    if (blocks.has(text) && kind === 'keyword') return this.#block(text as BlockKind);
    if (this.is('typealias')) return this.#typealias();
    const type = this.#leading();
    if (!this.take('typedef')) {
      if (type === undefined) throw this.unexpected('a declaration');
      this.expect(';');
      return { kind: 'declaration', type, at };
    }
    return this.#typedef(type, at);
  }

  #block(block: BlockKind): Item {
    const { at } = this.advance();
    const entries: Entry[] = [];
    this.expect('{');
    while (!this.take('}')) entries.push(this.#entry());
    this.expect(';');
    return { kind: 'block', block, entries, at };
  }

  #entry(): Entry {
    const { at } = this.token;
    if (this.is('typealias')) return this.#typealias();
    // Words of a block's own vocabulary are keywords too (`event.header`), so what follows decides.
    const isPath = ['.', '=', ':='].includes(this.next.text) && this.next.kind === 'sign';
    if (!isPath) {
      const type = this.#leading();
      this.expect('typedef');
      return this.#typedef(type, at);
    }
    const name = this.path().join('.');
    if (this.take(':=')) {
      const entry = {
        kind: 'type',
        name,
        type: this.#specifiers(),
        declarator: this.#declarator(),
        at,
      } as const;
      this.expect(';');
      return entry;
    }
    return { kind: 'value', name, value: this.#assigned(), at };
  }

  /** The specifiers before `typedef`, where there are any. */
  #leading(): TypeSpecifier | undefined {
    return this.is('typedef') ? undefined : this.#specifiers();
  }

  #typedef(leading: TypeSpecifier | undefined, at: number): Extract<Statement, { kind: 'typedef' }> {
    const type = leading === undefined || !this.#startsDeclarator() ? this.#specifiers() : leading;
    const declarators = this.#declarators();
    return { kind: 'typedef', type, declarators, at };
  }

  #startsDeclarator(): boolean {
    return this.is('*') || this.token.kind === 'name';
  }

  #typealias(): Extract<Statement, { kind: 'typealias' }> {
    const { at } = this.advance();
    const type = this.#specifiers();
    const declarator = this.#declarator();
    this.expect(':=');
    const words: string[] = [];
    while (!this.is(';')) {
      const { kind, text } = this.token;
      if (kind !== 'name' && kind !== 'keyword' && !this.is('*')) throw this.unexpected('the name of a type');
      words.push(text);
      this.advance();
    }
    if (words.length === 0) throw this.unexpected('the name of a type');
    this.expect(';');
    return { kind: 'typealias', type, declarator, alias: words.join(' '), at };
  }

  /** `= expr ;` */
  #assigned(): Expression {
    this.expect('=');
    const value = this.expression();
    this.expect(';');
    return value;
  }

  #specifiers(): TypeSpecifier {
    const { at } = this.token;
    const words: string[] = [];
    let named = false;
    let type: TypeSpecifier | undefined;
    for (;;) {
      const { kind, text } = this.token;
      if (kind === 'keyword' && (text === 'const' || (type === undefined && basicTypes.has(text)))) {
        words.push(text);
        named ||= text !== 'const';
      } else if (kind === 'name' && !named && type === undefined) {
        words.push(text);
        named = true;
      } else if (kind === 'keyword' && !named && type === undefined && this.#startsType(text)) {
        type = this.nested(() => this.#spelledOut());
        continue;
      } else break;
      this.advance();
    }
    if (type !== undefined) return type;
    if (!named) throw this.unexpected('a type');
    return { kind: 'named', words, at };
  }

  #startsType(text: string): boolean {
    return ['integer', 'floating_point', 'string', 'struct', 'variant', 'enum'].includes(text);
  }

  #spelledOut(): TypeSpecifier {
    const { text, at } = this.advance();
    switch (text) {
      case 'struct':
        return this.#struct(at);
      case 'variant':
        return this.#variant(at);
      case 'enum':
        return this.#enum(at);
      default: {
        const keyword = text as 'integer' | 'floating_point' | 'string';
        const bare = keyword === 'string' && !this.is('{');
        return { kind: 'scalar', keyword, attributes: bare ? [] : this.#attributes(), at };
      }
    }
  }

  #attributes(): Attribute[] {
    const attributes: Attribute[] = [];
    this.expect('{');
    while (!this.take('}')) {
      const { at } = this.token;
      attributes.push({ name: this.path().join('.'), value: this.#assigned(), at });
    }
    return attributes;
  }

  #struct(at: number): TypeSpecifier {
    const name = this.name();
    const body = this.#body();
    if (name === undefined && body === undefined) throw this.unexpected('"{"');
    let align: Expression | undefined;
    if (this.take('align')) {
      this.expect('(');
      align = this.expression();
      this.expect(')');
    }
    return { kind: 'struct', at, ...(name && { name }), ...(body && { body }), ...(align && { align }) };
  }

  #variant(at: number): TypeSpecifier {
    const name = this.name();
    let tag: string | undefined;
    if (this.take('<')) {
      tag = this.name();
      if (tag === undefined) throw this.unexpected('the name of a tag');
      this.expect('>');
    }
    const body = this.#body();
    if (body === undefined && (name === undefined || tag === undefined)) throw this.unexpected('"{"');
    return { kind: 'variant', at, ...(name && { name }), ...(tag && { tag }), ...(body && { body }) };
  }

  #body(): Statement[] | undefined {
    if (!this.take('{')) return undefined;
    const statements: Statement[] = [];
    while (!this.take('}')) statements.push(this.#statement());
    return statements;
  }

  #statement(): Statement {
    const { at } = this.token;
    if (this.is('typealias')) return this.#typealias();
    const type = this.#leading();
    if (this.take('typedef')) return this.#typedef(type, at);
    if (type === undefined) throw this.unexpected('a member');
    return { kind: 'member', type, declarators: this.#declarators(), at };
  }

  #enum(at: number): TypeSpecifier {
    const name = this.name();
    const container = this.take(':') ? this.#specifiers() : undefined;
    const labels = this.is('{') ? this.#labels() : undefined;
    if (labels === undefined && (name === undefined || container !== undefined)) throw this.unexpected('"{"');
    return {
      kind: 'enum',
      at,
      ...(name && { name }),
      ...(container && { container }),
      ...(labels && { labels }),
    };
  }

  #labels(): EnumLabel[] {
    const labels: EnumLabel[] = [];
    this.expect('{');
    while (!this.take('}')) {
      const { kind, text } = this.token;
      if (kind !== 'name' && kind !== 'keyword' && kind !== 'string') throw this.unexpected('a label');
      this.advance();
      let range: EnumLabel['range'];
      if (this.take('=')) {
        const low = this.integer();
        range = { low, high: this.take('...') ? this.integer() : low };
      }
      labels.push({ label: text, range });
      if (!this.is('}')) this.expect(',');
    }
    return labels;
  }

  /** Declarators with names, and the semicolon behind them. */
  #declarators(): Declarator[] {
    const declarators: Declarator[] = [];
    do {
      const declarator = this.#declarator();
      if (declarator.name === undefined) throw this.unexpected('a name');
      declarators.push(declarator);
    } while (this.take(','));
    this.expect(';');
    return declarators;
  }

  #declarator(): Declarator {
    const { at } = this.token;
    const pointers: string[] = [];
    while (this.is('*') || (pointers.length > 0 && this.is('const'))) pointers.push(this.advance().text);
    const name = this.name();
    const lengths: Expression[] = [];
    while (this.take('[')) {
      lengths.push(this.expression());
      if (lengths.length > limits.metadataDepth) throw this.deep();
      this.expect(']');
    }
    return { pointers, lengths, at, ...(name && { name }) };
  }
}
