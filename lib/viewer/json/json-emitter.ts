/** Compiles the printing of an event's scopes as JSON into the decoder. The form is documented in docs/view.md. */
import type { Code } from '../../ctf/decode/code.ts';
import type { Emitter, Words } from '../../ctf/decode/emitter.ts';
import type {
  ArrayField,
  Field,
  FloatField,
  IntegerField,
  StringField,
  StructField,
  TextField,
  VariantField,
} from '../../ctf/decode/layout.ts';
import { unitBytes, wideText } from '../../ctf/decode/runtime.ts';
import type { ScopeName } from '../../ctf/roles.ts';
import { writeSigned, writeSigned64, writeText, writeUnsigned, writeUnsigned64 } from '../text/digits.ts';
import { LineCode } from '../text/line-code.ts';
import type { TextBuffer } from '../text/text-buffer.ts';
import type { LineParts } from '../text/text-emitter.ts';
import { EnumJson } from './enum-json.ts';

/** Properties of an event, by scope. */
export const scopeProperties: Readonly<Record<ScopeName, string>> = {
  packetHeader: 'packetHeader',
  packetContext: 'packetContext',
  eventHeader: 'header',
  eventCommonContext: 'streamContext',
  eventContext: 'context',
  eventPayload: 'payload',
};

/** A string of JSON as bytes, one character each: what is no UTF-8 becomes U+FFFD. */
export function jsonText(text: string): string {
  return Buffer.from(JSON.stringify(text.replace(/\p{Surrogate}/gu, '\ufffd'))).toString('latin1');
}

function writeDouble(u: Uint8Array, n: number, value: number): number {
  return writeText(u, n, Number.isFinite(value) ? String(value) : `"${value}"`);
}

function writeWideJson(
  out: TextBuffer,
  n: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  encoding: TextField['encoding'],
): number {
  const text = Buffer.from(wideText(bytes, start, end, encoding));
  return out.json(text, 0, text.length, n);
}

export class JsonEmitter implements Emitter {
  readonly #code: Code;
  readonly #line: LineCode;
  readonly #parts: LineParts;

  constructor(code: Code, parts: LineParts) {
    this.#code = code;
    this.#line = new LineCode(code);
    this.#parts = parts;
  }

  begin(): void {
    this.#line.begin();
    this.#line.text(this.#parts.head);
    if (this.#parts.hasPacketText) this.#line.any('o.copy(c.packetText, n)');
  }

  end(): void {
    this.#line.text(this.#parts.tail);
    this.#line.end();
  }

  scope(name: ScopeName): void {
    this.#line.text(`,"${scopeProperties[name]}":`);
  }

  open(field: StructField | ArrayField | VariantField): void {
    if (field.kind !== 'variant') this.#line.text(field.kind === 'array' ? '[' : '{');
  }

  close(field: StructField | ArrayField | VariantField): void {
    if (field.kind !== 'variant') this.#line.text(field.kind === 'array' ? ']' : '}');
  }

  member(field: Field, isFirst: boolean): void {
    this.#line.text(`${isFirst ? '' : ','}${jsonText(field.name)}:`);
  }

  element(index: string): void {
    this.#line.store();
    this.#code.line(`if (${index} !== 0) u[n++] = 44;`);
  }

  option(): void {}

  absent(): void {
    this.#line.text('null');
  }

  integer({ labels, integer }: IntegerField, { low, high }: Words): void {
    if (integer.boolean) {
      const truths = this.#code.constant([Buffer.from('false'), Buffer.from('true')]);
      this.#line.any(`o.copy(${truths}[${low} !== 0 || ${high ?? '0'} !== 0 ? 1 : 0], n)`);
      return;
    }
    if (labels !== undefined) this.#line.text('{"value":');
    // What a double cannot hold for sure is a string, whatever its value.
    const quote = integer.sizeBits > 53 ? '"' : '';
    this.#line.text(quote);
    const { signed } = integer;
    if (high === undefined)
      this.#line.number(`${this.#code.constant(signed ? writeSigned : writeUnsigned)}(u, n, ${low})`);
    else {
      const write = this.#code.constant(signed ? writeSigned64 : writeUnsigned64);
      this.#line.number(`${write}(u, n, ${high}, ${low})`);
    }
    this.#line.text(quote);
    if (labels === undefined) return;
    const table = this.#code.constant(new EnumJson(labels, signed));
    this.#line.any(`o.copy(${table}.of(${low}, ${high ?? 'undefined'}), n)`);
  }

  float(_field: FloatField, value: string): void {
    this.#line.number(`${this.#code.constant(writeDouble)}(u, n, ${value})`);
  }

  string({ encoding }: StringField, start: string, end: string): string {
    const stop = this.#code.local();
    const unit = unitBytes(encoding);
    if (unit === 1) {
      this.#line.any(`o.jsonString(r, ${start}, ${end}, n)`);
      this.#code.line(`const ${stop} = o.stop;`);
    } else {
      this.#code.line(`const ${stop} = R.wideNul(r, ${start}, ${end}, ${unit});`);
      this.#line.any(this.#wide(encoding, start, stop));
    }
    return stop;
  }

  text({ encoding }: TextField, start: string, end: string): void {
    this.#line.any(
      unitBytes(encoding) === 1 ? `o.json(r, ${start}, ${end}, n)` : this.#wide(encoding, start, end),
    );
  }

  #wide(encoding: TextField['encoding'], start: string, end: string): string {
    return `${this.#code.constant(writeWideJson)}(o, n, r, ${start}, ${end}, ${this.#code.constant(encoding)})`;
  }

  fork(): void {
    this.#line.store();
  }

  join(): void {
    this.#line.join();
  }
}
