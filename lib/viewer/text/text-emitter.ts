/**
 * Compiles the printing of an event's scopes into the decoder: constant text is stored eight bytes at a time, numbers
 * and strings go from the packet into the line. Source: ctf, "Text output".
 */
import { bytesOfText } from '../../ctf/byte-text.ts';
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
import {
  writeBased,
  writeFloat,
  writeSigned,
  writeSigned64,
  writeUnsigned,
  writeUnsigned64,
} from './digits.ts';
import { EnumText } from './enum-text.ts';
import { LineCode } from './line-code.ts';
import { type Paint, paintOf, type TextStyle } from './style.ts';
import type { TextBuffer } from './text-buffer.ts';

const scopeTitles: Readonly<Record<ScopeName, string>> = {
  packetHeader: 'trace.packet.header',
  packetContext: 'stream.packet.context',
  eventHeader: 'stream.event.header',
  eventCommonContext: 'stream.event.context',
  eventContext: 'event.context',
  eventPayload: 'event.fields',
};

export interface LineParts {
  /** What comes before the scopes: facts of the trace, the event's name. */
  head: string;
  /** The packet's context was rendered before and is copied. */
  hasPacketText: boolean;
  tail: string;
}

function latin1(text: string): string {
  return bytesOfText(text).toString('latin1');
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

/** A string whose characters have more bytes than one. */
function writeWide(
  out: TextBuffer,
  n: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  encoding: TextField['encoding'],
): number {
  const text = Buffer.from(wideText(bytes, start, end, encoding));
  return out.quoted(text, 0, text.length, n);
}

export class TextEmitter implements Emitter {
  readonly #code: Code;
  readonly #style: TextStyle;
  readonly #paint: Paint;
  readonly #parts: LineParts;
  readonly #line: LineCode;
  #names = true;
  #isFirstScope: boolean;

  constructor(code: Code, style: TextStyle, parts: LineParts) {
    this.#code = code;
    this.#line = new LineCode(code);
    this.#style = style;
    this.#paint = paintOf(style);
    this.#parts = parts;
    this.#isFirstScope = !parts.hasPacketText;
  }

  begin(): void {
    this.#line.begin();
    this.#line.text(latin1(this.#parts.head));
    if (!this.#parts.hasPacketText) return;
    this.#line.any('o.copy(c.packetText, n)');
  }

  end(): void {
    this.#line.text(this.#parts.tail);
    this.#line.end();
  }

  scope(name: ScopeName): void {
    if (!this.#isFirstScope) this.#line.text(', ');
    this.#isFirstScope = false;
    const { names } = this.#style;
    if (names.scope) this.#line.text(`${this.#paint.headerName}${scopeTitles[name]}${this.#paint.reset} = `);
    this.#names = name === 'eventPayload' ? names.payload : names.context;
  }

  open(field: StructField | ArrayField | VariantField): void {
    this.#line.text(field.kind === 'array' ? '[' : '{');
  }

  close(field: StructField | ArrayField | VariantField): void {
    this.#line.text(field.kind === 'array' ? ' ]' : ' }');
  }

  member(field: Field, isFirst: boolean): void {
    this.#line.text(isFirst ? ' ' : ', ');
    if (this.#names) this.#line.text(`${this.#paint.fieldName}${latin1(field.name)}${this.#paint.reset} = `);
  }

  element(index: string): void {
    this.#line.store();
    this.#code.line(`if (${index} !== 0) u[n++] = 44;`);
    if (!this.#names) {
      this.#line.text(' ');
      return;
    }
    this.#line.text(' [');
    this.#line.number(`${this.#function(writeUnsigned)}(u, n, ${index})`);
    this.#line.text('] = ');
  }

  option(): void {
    this.#line.text(' ');
  }

  absent(): void {
    this.#line.text('{ }');
  }

  integer(field: IntegerField, words: Words): void {
    const { labels, integer } = field;
    const { low, high } = words;
    if (integer.boolean) {
      const truths = [false, true].map((truth) =>
        Buffer.from(`${this.#paint.value}${truth}${this.#paint.reset}`),
      );
      const bytes = this.#code.constant(truths);
      this.#line.any(`o.copy(${bytes}[${low} !== 0 || ${high ?? '0'} !== 0 ? 1 : 0], n)`);
      return;
    }
    if (labels !== undefined) {
      const table = this.#code.constant(new EnumText(labels, integer.signed, this.#paint));
      this.#line.any(`o.copy(${table}.of(${low}, ${high ?? 'undefined'}), n)`);
    }
    this.#line.text(this.#paint.value);
    this.#line.number(this.#integerCall(field, words));
    this.#line.text(this.#paint.reset);
    if (labels !== undefined) this.#line.text(' )');
  }

  #integerCall({ integer }: IntegerField, { low, high }: Words): string {
    const { base, signed, sizeBits } = integer;
    if (base !== 10) {
      const top = high ?? (signed ? `(${low} < 0 ? -1 : 0)` : '0');
      return `${this.#function(writeBased)}(u, n, ${base}, ${sizeBits}, ${top}, ${low})`;
    }
    if (high === undefined) return `${this.#function(signed ? writeSigned : writeUnsigned)}(u, n, ${low})`;
    return `${this.#function(signed ? writeSigned64 : writeUnsigned64)}(u, n, ${high}, ${low})`;
  }

  float(field: FloatField, value: string): void {
    this.#line.text(this.#paint.value);
    // Only the bits tell the sign of what is no number; JavaScript may change them, the packet does not.
    const sign = this.#code.local();
    const { sizeBits, byteOrder } = field.float;
    const bit = byteOrder === 'little' ? sizeBits - 1 : 0;
    this.#code.line(
      `const ${sign} = ${value} === ${value} ? ${this.#function(isNegative)}(${value}) : R.${byteOrder}(r, ${this.#code.bit()} + ${bit}, 1) === 1;`,
    );
    this.#line.number(`${this.#function(writeFloat)}(u, n, ${value}, ${sign})`);
    this.#line.text(this.#paint.reset);
  }

  string({ encoding }: StringField, start: string, end: string): string {
    this.#line.text(this.#paint.value);
    const stop = this.#code.local();
    if (unitBytes(encoding) === 1) {
      this.#line.any(`o.string(r, ${start}, ${end}, n)`);
      this.#code.line(`const ${stop} = o.stop;`);
    } else {
      this.#code.line(`const ${stop} = R.wideNul(r, ${start}, ${end}, ${unitBytes(encoding)});`);
      this.#line.any(this.#wide(encoding, start, stop));
    }
    this.#line.text(this.#paint.reset);
    return stop;
  }

  text({ encoding }: TextField, start: string, end: string): void {
    this.#line.text(this.#paint.value);
    this.#line.any(
      unitBytes(encoding) === 1 ? `o.quoted(r, ${start}, ${end}, n)` : this.#wide(encoding, start, end),
    );
    this.#line.text(this.#paint.reset);
  }

  #wide(encoding: TextField['encoding'], start: string, end: string): string {
    return `${this.#function(writeWide)}(o, n, r, ${start}, ${end}, ${this.#code.constant(encoding)})`;
  }

  fork(): void {
    this.#line.store();
  }

  join(): void {
    this.#line.join();
  }

  #function(callee: unknown): string {
    return this.#code.constant(callee);
  }
}
