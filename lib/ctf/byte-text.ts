/**
 * Names and strings of metadata are bytes that should be UTF-8, and must come out as they came in. Text that is not
 * carries each wrong byte as a lone surrogate, U+DC80 to U+DCFF, which no UTF-8 decodes to.
 */

/** `latin1`: one character a byte. */
export function textOfBytes(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString();
  return bytes.equals(Buffer.from(text)) ? text : escaped(bytes);
}

function escaped(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] as number;
    const length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    const one = bytes.subarray(at, at + length);
    const char = one.toString();
    if (Buffer.from(char).equals(one)) {
      text += char;
      at += length;
    } else {
      text += String.fromCharCode(0xdc00 + byte);
      at += 1;
    }
  }
  return text;
}

/** The bytes that `textOfBytes` had, or UTF-8. */
export function bytesOfText(text: string): Buffer {
  if (!/[\udc80-\udcff]/u.test(text)) return Buffer.from(text);
  const pieces = text.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    pieces.map((piece, i) => (i % 2 === 1 ? Buffer.of(piece.charCodeAt(0) & 0xff) : Buffer.from(piece))),
  );
}
