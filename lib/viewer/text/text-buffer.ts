/**
 * The bytes that lines are written into. Compiled code holds its members in variables of its own while it writes; there
 * is always room for `slackBytes` behind `mark`.
 */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { writeText } from './digits.ts';

/** What may be written between two looks at `mark`. */
export const slackBytes = 4096;

/** By byte: 0 = as it is, 1 = written as `\xNN`, else the character behind a backslash. Source: ctf, "Escapes". */
const escapes = new Uint8Array(256);
escapes.fill(1, 0, 32);
escapes[127] = 1;
for (const [byte, letter] of [
  [0x5c, '\\'],
  [0x27, "'"],
  [0x22, '"'],
  [0x3f, '?'],
  [7, 'a'],
  [8, 'b'],
  [27, 'e'],
  [12, 'f'],
  [10, 'n'],
  [13, 'r'],
  [9, 't'],
  [11, 'v'],
] as const)
  escapes[byte] = letter.charCodeAt(0);

export class TextBuffer {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next byte goes. */
  at = 0;
  /** From here on there may be no room left. */
  mark: number;
  /** The byte of the NUL that the last string ended with. */
  stop = 0;
  /** Where the event begins that is being written: its length has a ceiling. */
  start = 0;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, sizeBytes);
    this.mark = sizeBytes - slackBytes;
  }

  /** Goes on at the beginning of other memory. */
  moveTo(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.mark = bytes.length - slackBytes;
    this.at = 0;
  }

  /** Makes room for `slackBytes` and `more` behind `n`. */
  grow(n: number, more = 0): void {
    if (n + more - this.start > limits.eventTextBytes)
      throw new MillraceError('MR_ERR_CTF_PACKET', {
        why: `an event of more than ${limits.eventTextBytes} bytes of text`,
      });
    const { at } = this;
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, n + more + 2 * slackBytes));
    bytes.set(this.bytes.subarray(0, n));
    this.moveTo(bytes);
    this.at = at;
  }

  /** Copies bytes to `n`; returns what is behind them. */
  copy(from: Uint8Array, n: number): number {
    if (n + from.length > this.mark) this.grow(n, from.length);
    const { bytes } = this;
    if (from.length > 64) bytes.set(from, n);
    else for (let i = 0; i < from.length; i++) bytes[n + i] = from[i] as number;
    return n + from.length;
  }

  /** Copies what another buffer holds to `n`; returns what is behind it. */
  append(from: TextBuffer, n: number): number {
    const length = from.at;
    if (n + length > this.mark) this.grow(n, length);
    if (length > 1024) {
      this.bytes.set(from.bytes.subarray(0, length), n);
      return n + length;
    }
    // Word by word, behind the end too: there is room. Calling a copy costs more for what lines have.
    const { view } = this;
    const source = from.view;
    for (let i = 0; i < length; i += 4) view.setUint32(n + i, source.getUint32(i, true), true);
    return n + length;
  }

  /** Writes the string that begins at `from[p]` in quotes and escaped; its NUL must lie before `end`. */
  string(from: Uint8Array, p: number, end: number, n: number): number {
    const stop = this.quoted(from, p, end, n);
    if (this.stop >= end) throw new RangeError();
    return stop;
  }

  /** The same, ended by a NUL or by `end`; `stop` says where. */
  quoted(from: Uint8Array, p: number, end: number, n: number): number {
    let { bytes } = this;
    let full = bytes.length - 16;
    let out = n;
    let at = p;
    bytes[out++] = 34;
    for (; at < end; at++) {
      const byte = from[at] as number;
      const how = escapes[byte] as number;
      if (how === 0) bytes[out++] = byte;
      else if (byte === 0) break;
      else {
        bytes[out++] = 92;
        if (how !== 1) bytes[out++] = how;
        else out = writeText(bytes, out, `x${byte.toString(16).padStart(2, '0')}`);
      }
      if (out > full) {
        this.grow(out);
        bytes = this.bytes;
        full = bytes.length - 16;
      }
    }
    bytes[out++] = 34;
    this.stop = at;
    return out;
  }

  /** Writes a string of JSON: what begins at `from[p]`, ended by a NUL or by `end`; `stop` says where. */
  json(from: Uint8Array, p: number, end: number, n: number): number {
    let at = p;
    let isPlain = true;
    for (; at < end; at++) {
      const byte = from[at] as number;
      if (byte === 0) break;
      isPlain &&= byte >= 32 && byte < 128 && byte !== 34 && byte !== 92;
    }
    this.stop = at;
    const text = isPlain
      ? from.subarray(p, at)
      : Buffer.from(JSON.stringify(Buffer.from(from.subarray(p, at)).toString()).slice(1, -1));
    if (n + text.length + 2 > this.mark) this.grow(n, text.length);
    const { bytes } = this;
    bytes[n] = 34;
    bytes.set(text, n + 1);
    bytes[n + 1 + text.length] = 34;
    return n + text.length + 2;
  }

  /** The same for a string whose end must lie before `end`. */
  jsonString(from: Uint8Array, p: number, end: number, n: number): number {
    const after = this.json(from, p, end, n);
    if (this.stop >= end) throw new RangeError();
    return after;
  }
}

/** Text in quotes and escaped, as in a line. */
export function quotedBytes(text: Uint8Array): Uint8Array {
  const buffer = new TextBuffer(text.length * 4 + 2 * slackBytes);
  const end = buffer.quoted(text, 0, text.length, 0);
  return buffer.bytes.slice(0, end);
}
