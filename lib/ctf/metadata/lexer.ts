/**
 * Tokens of TSDL. Scanned by character, not by regular expression, so that time and memory are linear in the text
 * whatever it holds. Source: ctf, "TSDL: tokens".
 */
import { type MillraceError, printable } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { textOfBytes } from '../byte-text.ts';
import { metadataError } from './metadata-text.ts';

/** `at`: offset of the token's first character. `text`: as written; of a string its value, in Unicode. */
export interface Token {
  kind: 'name' | 'keyword' | 'integer' | 'string' | 'sign' | 'end';
  text: string;
  at: number;
  /** Set for integers. */
  value?: bigint;
}

const keywords = new Set(
  (
    'align const char clock double enum env event floating_point float integer int long short signed stream ' +
    'string struct trace callsite typealias typedef unsigned variant void _Bool _Complex _Imaginary'
  ).split(' '),
);
const signs = new Set('{}()[]<>;:,=*+-.');
const integerForm = /^(0x[0-9a-f]+?|0[0-7]*?|[1-9]\d*?)(?:u|l|ul|lu|ll|ull|llu)?$/i;
const maxInteger = 2n ** 64n - 1n;
const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
};

/** Gives out the tokens of a text in order; behind the last one, `end` for ever. */
export class Lexer {
  readonly #text: string;
  #at = 0;

  /** `text`: Latin-1, one character a byte. */
  constructor(text: string) {
    this.#text = text;
  }

  /** An error that names the place. */
  error(at: number, why: string): MillraceError {
    return metadataError(this.#text, at, why);
  }

  /** The next token. Errors: MR_ERR_CTF_METADATA. */
  next(): Token {
    this.#skipBlanks();
    const at = this.#at;
    const char = this.#text[at];
    if (char === undefined) return { kind: 'end', text: 'the end', at };
    if (isWord(char) || char === '\\') return this.#word(at);
    if (char === '"' || char === "'") return this.#string(at, char);
    const text = this.#text.startsWith('...', at) ? '...' : this.#text.startsWith(':=', at) ? ':=' : char;
    if (text.length === 1 && !signs.has(text)) throw this.error(at, `unexpected ${quoted(char)}`);
    this.#at += text.length;
    return { kind: 'sign', text, at };
  }

  #skipBlanks(): void {
    const text = this.#text;
    for (;;) {
      const char = text[this.#at];
      if (char === ' ' || char === '\t' || char === '\n' || char === '\r') {
        this.#at += 1;
        continue;
      }
      const ending = char !== '/' ? undefined : text[this.#at + 1] === '*' ? '*/' : '\n';
      if (ending === undefined) return;
      if (ending === '\n' && text[this.#at + 1] !== '/') return;
      const end = text.indexOf(ending, this.#at + 2);
      if (end < 0) throw this.error(this.#at, 'a comment that does not end');
      this.#at = end + ending.length;
    }
  }

  #word(at: number): Token {
    let end = at;
    while (end < this.#text.length && (isWord(this.#text[end] as string) || this.#text[end] === '\\')) end++;
    if (end - at > limits.metadataTokenLength) throw this.#long(at, end);
    const text = this.#text.slice(at, end);
    this.#at = end;
    if (isDigit(text[0] as string)) return this.#integer(at, text);
    if (text.includes('\\') && text.replace(/\\u[0-9a-f]{4}|\\U[0-9a-f]{8}/gi, '').includes('\\'))
      throw this.error(at, `${quoted(text)} is no name`);
    return { kind: keywords.has(text) ? 'keyword' : 'name', text, at };
  }

  #integer(at: number, text: string): Token {
    // Longer ones cannot be 64 bits but with thousands of zeros, which nobody writes.
    const digits = text.length > 100 ? undefined : integerForm.exec(text)?.[1];
    if (digits === undefined) throw this.error(at, `${quoted(text)} is no integer`);
    const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
    if (value > maxInteger) throw this.error(at, `${text} does not fit into 64 bits`);
    return { kind: 'integer', text, value, at };
  }

  #string(at: number, quote: string): Token {
    const bytes: string[] = [];
    let end = at + 1;
    for (; this.#text[end] !== quote; ) {
      const char = this.#text[end];
      if (char === undefined) throw this.error(at, 'a string that does not end');
      if (end - at > limits.metadataTokenLength) throw this.#long(at, end);
      if (char !== '\\') {
        bytes.push(char);
        end += 1;
        continue;
      }
      const sequence = /^\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,3})|([abfnrtv\\'"?]))/.exec(
        this.#text.slice(end, end + 5),
      );
      const simple = sequence?.[3] === undefined ? undefined : escapes[sequence[3]];
      const code =
        sequence?.[1] !== undefined
          ? Number.parseInt(sequence[1], 8)
          : Number.parseInt(sequence?.[2] ?? '', 16);
      if (sequence === null || (simple === undefined && Number.isNaN(code)))
        throw this.error(end, 'an escape that is not known');
      bytes.push(simple ?? String.fromCharCode(code & 0xff));
      end += sequence[0].length;
    }
    this.#at = end + 1;
    return { kind: 'string', text: textOfBytes(bytes.join('')), at };
  }

  #long(at: number, end: number): MillraceError {
    return this.error(
      at,
      `a token of ${end - at} characters, at most ${limits.metadataTokenLength} are read`,
    );
  }
}

/** Text from metadata for an error message. */
export function quoted(text: string): string {
  return `"${printable(text, 40)}"`;
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

function isWord(char: string): boolean {
  return (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || char === '_' || isDigit(char);
}
