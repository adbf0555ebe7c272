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
import { wideText } from '../../ctf/decode/runtime.ts';
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
import { type Paint, paintOf, type TextStyle } from './style.ts';
import { slackBytes, type TextBuffer } from './text-buffer.ts';

/** The longest number, with what stands around it. */
const numberBytes = 128;

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

/** `view`: of the packet; a NaN has a sign, which only its bits tell. */
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
  /** Constant text that was not stored yet, one character a byte. */
  #pending = '';
  /** Bytes that may have been written since the last look at the mark. */
  #used = 0;
  #names = true;
  #isFirstScope: boolean;

  constructor(code: Code, style: TextStyle, parts: LineParts) {
    this.#code = code;
    this.#style = style;
    this.#paint = paintOf(style);
    this.#parts = parts;
    this.#isFirstScope = !parts.hasPacketText;
  }

  begin(): void {
    this.#code.line('let n = o.at, u = o.bytes, d = o.view, m = o.mark;');
    this.join();
    this.#text(latin1(this.#parts.head));
    if (!this.#parts.hasPacketText) return;
    this.#store();
    this.#code.line('n = o.copy(c.packetText, n);');
    this.#reload();
  }

  end(): void {
    this.#text(this.#parts.tail);
    this.#store();
    this.#code.line('o.at = n;');
  }

  scope(name: ScopeName): void {
    if (!this.#isFirstScope) this.#text(', ');
    this.#isFirstScope = false;
    const { names } = this.#style;
    if (names.scope) this.#text(`${this.#paint.headerName}${scopeTitles[name]}${this.#paint.reset} = `);
    this.#names = name === 'eventPayload' ? names.payload : names.context;
  }

  open(field: StructField | ArrayField | VariantField): void {
    this.#text(field.kind === 'array' ? '[' : '{');
  }

  close(field: StructField | ArrayField | VariantField): void {
    this.#text(field.kind === 'array' ? ' ]' : ' }');
  }

  member(field: Field, isFirst: boolean): void {
    this.#text(isFirst ? ' ' : ', ');
    if (this.#names) this.#text(`${this.#paint.fieldName}${latin1(field.name)}${this.#paint.reset} = `);
  }

  element(index: string): void {
    this.#store();
    this.#code.line(`if (${index} !== 0) u[n++] = 44;`);
    if (!this.#names) {
      this.#text(' ');
      return;
    }
    this.#text(' [');
    this.#number(`${this.#function(writeUnsigned)}(u, n, ${index})`);
    this.#text('] = ');
  }

  option(): void {
    this.#text(' ');
  }

  absent(): void {
    this.#text('{ }');
  }

  integer(field: IntegerField, words: Words): void {
    const { labels, integer } = field;
    if (integer.boolean) {
      this.#store();
      const bytes = this.#code.constant(
        [true, false].map((truth) => Buffer.from(`${this.#paint.value}${truth}${this.#paint.reset}`)),
      );
      this.#code.line(`n = o.copy(${bytes}[${words.low} || ${words.high ?? '0'} ? 0 : 1], n);`);
      this.#reload();
      return;
    }
    if (labels !== undefined) {
      this.#store();
      const table = this.#code.constant(new EnumText(labels, integer.signed, this.#paint));
      this.#code.line(`n = o.copy(${table}.of(${words.low}, ${words.high ?? 'undefined'}), n);`);
      this.#reload();
    }
    this.#text(this.#paint.value);
    this.#number(this.#integerCall(field, words));
    this.#text(this.#paint.reset);
    if (labels !== undefined) this.#text(' )');
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
    this.#text(this.#paint.value);
    // Only the bits tell the sign of what is no number; JavaScript may change them, the packet does not.
    const sign = this.#code.local();
    const { sizeBits, byteOrder } = field.float;
    const bit = byteOrder === 'little' ? sizeBits - 1 : 0;
    this.#code.line(
      `const ${sign} = ${value} === ${value} ? ${this.#function(isNegative)}(${value}) : R.${byteOrder}(r, ${this.#code.bit()} + ${bit}, 1) === 1;`,
    );
    this.#number(`${this.#function(writeFloat)}(u, n, ${value}, ${sign})`);
    this.#text(this.#paint.reset);
  }

  string({ encoding }: StringField, start: string, end: string): string {
    this.#text(this.#paint.value);
    this.#store();
    const stop = this.#code.local();
    if (encoding === 'utf8' || encoding === 'ascii') {
      this.#code.line(`n = o.string(r, ${start}, ${end}, n);`);
      this.#code.line(`const ${stop} = o.stop;`);
    } else {
      const unit = encoding.startsWith('utf16') ? 2 : 4;
      this.#code.line(`const ${stop} = R.wideNul(r, ${start}, ${end}, ${unit});`);
      this.#wide(encoding, start, stop);
    }
    this.#reload();
    this.#text(this.#paint.reset);
    return stop;
  }

  text({ encoding }: TextField, start: string, end: string): void {
    this.#text(this.#paint.value);
    this.#store();
    if (encoding === 'utf8' || encoding === 'ascii') this.#code.line(`n = o.quoted(r, ${start}, ${end}, n);`);
    else this.#wide(encoding, start, end);
    this.#reload();
    this.#text(this.#paint.reset);
  }

  #wide(encoding: TextField['encoding'], start: string, end: string): void {
    this.#code.line(
      `n = ${this.#function(writeWide)}(o, n, r, ${start}, ${end}, ${this.#code.constant(encoding)});`,
    );
  }

  fork(): void {
    this.#store();
  }

  join(): void {
    this.#used = 0;
    this.#code.line('if (n > m) { o.grow(n); u = o.bytes; d = o.view; m = o.mark; }');
  }

  #text(text: string): void {
    this.#pending += text;
    if (this.#pending.length > slackBytes / 2) this.#store();
  }

  #function(callee: unknown): string {
    return this.#code.constant(callee);
  }

  #number(call: string): void {
    this.#store();
    this.#room(numberBytes);
    this.#code.line(`n = ${call};`);
  }

  /** After a call that may have moved the buffer. */
  #reload(): void {
    this.#used = 0;
    this.#code.line(
      'u = o.bytes; d = o.view; m = o.mark; if (n > m) { o.grow(n); u = o.bytes; d = o.view; m = o.mark; }',
    );
  }

  #room(bytes: number): void {
    if (this.#used + bytes > slackBytes) this.join();
    this.#used += bytes;
  }

  /** Statements that store the constant text. */
  #store(): void {
    for (let text = this.#pending; text !== ''; ) {
      const piece = text.slice(0, 2048);
      text = text.slice(piece.length);
      this.#room(piece.length);
      for (const line of stores(piece)) this.#code.line(line);
    }
    this.#pending = '';
  }
}

function stores(text: string): string[] {
  const bytes = Buffer.from(text, 'latin1');
  const lines: string[] = [];
  let at = 0;
  const place = () => (at === 0 ? 'n' : `n + ${at}`);
  while (at < bytes.length) {
    const left = bytes.length - at;
    // A double holds eight bytes of anything that is not the bits of a NaN.
    const double = left >= 8 ? bytes.readDoubleLE(at) : Number.NaN;
    if (!Number.isNaN(double)) {
      lines.push(`d.setFloat64(${place()}, ${Object.is(double, -0) ? '-0' : double}, true);`);
      at += 8;
    } else if (left >= 4) {
      lines.push(`d.setUint32(${place()}, ${bytes.readUInt32LE(at)}, true);`);
      at += 4;
    } else if (left >= 2) {
      lines.push(`d.setUint16(${place()}, ${bytes.readUInt16LE(at)}, true);`);
      at += 2;
    } else {
      lines.push(`u[${place()}] = ${bytes[at]};`);
      at += 1;
    }
  }
  lines.push(`n += ${bytes.length};`);
  return lines;
}
