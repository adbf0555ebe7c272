/**
 * Statements that write into a `TextBuffer`: constant text is gathered and stored eight bytes at a time, and the mark is
 * looked at as seldom as it must be. What emitters of lines have in common.
 */
import type { Code } from '../../ctf/decode/code.ts';
import { slackBytes } from './text-buffer.ts';

/** The longest number, with what stands around it. */
const numberBytes = 128;

const check = 'if (n > m) { o.grow(n); u = o.bytes; d = o.view; m = o.mark; }';

export class LineCode {
  readonly code: Code;
  /** Constant text that was not stored yet, one character a byte. */
  #pending = '';
  /** Bytes that may have been written since the last look at the mark. */
  #used = 0;

  constructor(code: Code) {
    this.code = code;
  }

  begin(): void {
    this.code.line('let n = o.at, u = o.bytes, d = o.view, m = o.mark;');
    this.join();
  }

  end(): void {
    this.store();
    this.code.line('o.at = n;');
  }

  /** Constant text. */
  text(text: string): void {
    this.#pending += text;
    if (this.#pending.length > slackBytes / 2) this.store();
  }

  /** A number: `call` writes it at `n` and gives what is behind it. */
  number(call: string): void {
    this.store();
    this.#room(numberBytes);
    this.code.line(`n = ${call};`);
  }

  /** Anything of any length: `call` is a method of the buffer, or is given it. */
  any(call: string): void {
    this.store();
    this.code.line(`n = ${call};`);
    this.#used = 0;
    this.code.line(`u = o.bytes; d = o.view; m = o.mark; ${check}`);
  }

  join(): void {
    this.#used = 0;
    this.code.line(check);
  }

  /** Statements that store the constant text so far. */
  store(): void {
    for (let text = this.#pending; text !== ''; ) {
      const piece = text.slice(0, 2048);
      text = text.slice(piece.length);
      this.#room(piece.length);
      for (const line of stores(piece)) this.code.line(line);
    }
    this.#pending = '';
  }

  #room(bytes: number): void {
    if (this.#used + bytes > slackBytes) this.join();
    this.#used += bytes;
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
