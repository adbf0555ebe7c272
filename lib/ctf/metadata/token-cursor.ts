/** What the rules of the grammar are written with: two tokens at a time, and the rules that have no rules inside. */
import type { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { Lexer, quoted, type Token } from './lexer.ts';
import type { Expression } from './syntax.ts';

/** Errors of all methods: MR_ERR_CTF_METADATA. */
export class TokenCursor {
  readonly #lexer: Lexer;
  /** The token that a rule looks at, and the one behind it. */
  token: Token;
  next: Token;
  /** Tokens taken since the caller set it to 0, or to what it was before something that it dropped. */
  taken = 0;
  #depth = 0;

  constructor(text: string) {
    this.#lexer = new Lexer(text);
    this.token = this.#lexer.next();
    this.next = this.#lexer.next();
  }

  expression(): Expression {
    const { kind, text, at } = this.token;
    if (this.take('(')) {
      const inner = this.nested(() => this.expression());
      this.expect(')');
      return inner;
    }
    if (kind === 'integer' || this.is('-') || this.is('+'))
      return { kind: 'integer', value: this.integer(), at };
    if (kind === 'string') {
      this.advance();
      return { kind: 'string', value: text, at };
    }
    return { kind: 'path', words: this.path(), at };
  }

  integer(): bigint {
    const negative = this.take('-');
    if (!negative) this.take('+');
    if (this.token.value === undefined) throw this.unexpected('an integer');
    const value = this.advance().value as bigint;
    return negative ? -value : value;
  }

  path(): string[] {
    const words: string[] = [];
    do {
      if (this.token.kind !== 'name' && this.token.kind !== 'keyword') throw this.unexpected('a name');
      words.push(this.advance().text);
    } while (this.take('.'));
    return words;
  }

  name(): string | undefined {
    return this.token.kind === 'name' ? this.advance().text : undefined;
  }

  /** A rule inside a rule of its kind: the stack is finite. */
  nested<T>(rule: () => T): T {
    this.#depth += 1;
    if (this.#depth > limits.metadataDepth) throw this.deep();
    const result = rule();
    this.#depth -= 1;
    return result;
  }

  /** Whether the token is this sign or keyword; `take` and `expect` go on behind it if so. */
  is(text: string): boolean {
    const { kind } = this.token;
    return (kind === 'sign' || kind === 'keyword') && this.token.text === text;
  }

  take(text: string): boolean {
    if (!this.is(text)) return false;
    this.advance();
    return true;
  }

  expect(text: string): void {
    if (!this.take(text)) throw this.unexpected(`"${text}"`);
  }

  advance(): Token {
    const token = this.token;
    this.taken += 1;
    if (this.taken > limits.metadataTokens)
      throw this.error(token.at, `more than ${limits.metadataTokens} words and signs`);
    this.token = this.next;
    this.next = this.#lexer.next();
    return token;
  }

  error(at: number, why: string): MillraceError {
    return this.#lexer.error(at, why);
  }

  /** An error at the token that a rule looks at. */
  unexpected(expected: string): MillraceError {
    const { kind, text, at } = this.token;
    return this.error(at, `${kind === 'end' ? text : quoted(text)} in place of ${expected}`);
  }

  deep(): MillraceError {
    return this.error(this.token.at, `nested deeper than ${limits.metadataDepth}`);
  }
}
