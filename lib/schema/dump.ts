/**
 * Annotated hex from a declaration. It reads by itself, field by field, so that bytes which no decoder accepts
 * can still be looked at: what is there is shown, what is missing is said.
 */
import { printable } from '../errors.ts';
import type { Layout } from './generate.ts';
import { fixedSizeOf } from './size.ts';
import type { Integer, Shape } from './types.ts';

const shownBytes = 24;

/** Lines of one struct and the offset behind it; offsets in the text count from `origin`. */
export function dumpFields(
  { fields, endian }: Pick<Layout, 'fields' | 'endian'>,
  bytes: Buffer,
  start: number,
  end: number,
  origin = start,
): { text: string; next: number; whole: boolean } {
  const lines: string[] = [];
  const lengths = new Map<string, number>();
  let at = start;
  const stop = Math.min(end, bytes.length);
  for (const [name, type, unit] of fields) {
    if (type.kind === 'list') {
      const count = lengths.get(type.lengthField) ?? 0;
      for (let i = 0; i < count; i++) {
        if (at >= stop) {
          lines.push(line(at - origin, bytes.subarray(0, 0), `${name}: ${count - i} of ${count} missing`));
          return { text: lines.join('\n'), next: at, whole: false };
        }
        const element = dumpFields(type.of, bytes, at, stop, origin);
        lines.push(`      ${name}[${i}]`, element.text);
        at = element.next;
        if (!element.whole) return { text: lines.join('\n'), next: at, whole: false };
      }
      continue;
    }
    const size = sizeOf(type, lengths, stop - at);
    const there = bytes.subarray(at, Math.min(at + size, stop));
    if (there.length < size) {
      lines.push(line(at - origin, there, `${name}: ${size - there.length} of ${size} bytes missing`));
      return { text: lines.join('\n'), next: stop, whole: false };
    }
    const { value, text } = show(type, there, endian);
    if (typeof value === 'number') lengths.set(name, value);
    lines.push(line(at - origin, there, [`${name}${text}`, unit].filter((part) => part !== '').join('  ')));
    at += size;
  }
  return { text: lines.join('\n'), next: at, whole: true };
}

function sizeOf(type: Shape, lengths: ReadonlyMap<string, number>, remaining: number): number {
  if (type.kind === 'rest') return remaining;
  if (type.kind === 'sizedString' || type.kind === 'text') return lengths.get(type.lengthField) ?? 0;
  return fixedSizeOf(type) ?? 0;
}

function line(offset: number, bytes: Buffer, text: string): string {
  const hex = bytes.toString('hex', 0, shownBytes).replace(/.{8}(?=.)/g, '$& ');
  const shown = bytes.length > shownBytes ? `${hex}… (${bytes.length} bytes)` : hex;
  return `${offset.toString(16).padStart(4, '0')}  ${shown.padEnd(36)}  ${text}`;
}

function show(
  type: Shape,
  bytes: Buffer,
  endian: 'big' | 'little',
): { value?: number | bigint; text: string } {
  switch (type.kind) {
    case 'integer': {
      const value = integer(type, bytes, endian);
      return { value, text: ` = ${value}` };
    }
    case 'optional':
      return {
        text:
          bytes[0] === 0
            ? ' unset'
            : ` = ${integer(type.of, bytes.subarray(1 + type.paddingSizeBytes), endian)}`,
      };
    case 'fixedString':
    case 'sizedString': {
      if (bytes.length === 0) return { text: ' absent' };
      const nul = bytes.indexOf(0);
      const name = printable(bytes.toString('utf8', 0, nul < 0 ? bytes.length : nul));
      return { text: ` = ${JSON.stringify(name)}${nul < 0 ? ' without NUL' : ''}` };
    }
    case 'text':
      return { text: ` = ${JSON.stringify(printable(bytes.toString('utf8')))}` };
    case 'bytes':
      return { text: '' };
    case 'padding':
      return { text: ' (ignored)' };
    case 'rest':
      return { text: `, ${bytes.length} bytes` };
    case 'list':
      return { text: '' };
  }
}

function integer(type: Integer, bytes: Buffer, endian: 'big' | 'little'): number | bigint {
  const ordered = endian === 'big' ? bytes : Buffer.from(bytes).reverse();
  const value = BigInt(`0x${ordered.toString('hex', 0, type.sizeBytes) || '0'}`);
  if (type.sizeBytes < 8) return Number(value);
  return type.signed ? BigInt.asIntN(64, value) : value;
}
