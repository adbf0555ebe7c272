import { long, sizedLength } from './runtime.ts';
import type { Field, Integer, Shape, Struct } from './types.ts';

/** Bytes that every value of the type takes, or undefined where they depend on the value. */
export function fixedSizeOf(type: Shape): number | undefined {
  switch (type.kind) {
    case 'integer':
    case 'bytes':
    case 'padding':
    case 'fixedString':
      return type.sizeBytes;
    case 'optional':
      return 1 + type.paddingSizeBytes + type.of.sizeBytes;
    case 'sizedString':
    case 'text':
    case 'list':
    case 'rest':
      return undefined;
  }
}

/** Bytes of the type's shortest value. */
export function minSizeOf(type: Shape): number {
  return fixedSizeOf(type) ?? (type.kind === 'sizedString' && !type.optional ? 1 : 0);
}

/** Bytes that a value of these fields takes. */
export function sizeOfValue(fields: readonly Field[], value: Readonly<Record<string, unknown>>): number {
  let size = 0;
  for (const [name, type] of fields) {
    const fixed = fixedSizeOf(type);
    const field = value[name];
    if (fixed !== undefined) size += fixed;
    else if (type.kind === 'sizedString') size += sizedLength(field as string | undefined);
    else if (type.kind === 'text') size += Buffer.byteLength(field as string);
    else if (type.kind === 'rest') size += (field as Buffer).length;
    else if (type.kind === 'list')
      for (const element of field as object[]) size += type.of.fixedSizeBytes ?? type.of.sizeOf(element);
  }
  return size;
}

/**
 * How many bytes from `start` on a value takes, as far as `bytes[start, end)` tells: not more than `end - start`
 * means that it is all there. For layouts that must be found in a stream of bytes without a length in front; one
 * with a `rest` ends where that begins. Throws `MR_ERR_WIRE_LONG` for a count or length above its ceiling.
 */
export function neededBytes(layout: Struct<object>, bytes: Buffer, start: number, end: number): number {
  return layout.fixedSizeBytes ?? needed(layout, bytes, start, end) - start;
}

/** The offset behind the struct at `start`, or one beyond `end`, up to which bytes must be there to tell more. */
function needed(
  { name, fields, endian, minSizeBytes }: Struct<object>,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  let at = start;
  const lengths = new Map<string, number>();
  for (const [field, type] of fields) {
    if (at > end) return Math.max(at, start + minSizeBytes);
    const what = `${name}: ${field}`;
    if (type.kind === 'integer') {
      if (at + type.sizeBytes <= end && type.sizeBytes < 8) lengths.set(field, read(type, bytes, at, endian));
      at += type.sizeBytes;
    } else if (type.kind === 'list') {
      const count = lengths.get(type.lengthField) ?? 0;
      if (count > type.max) throw long(what, type.max, count);
      for (let i = 0; i < count; i += 1) {
        const least = (count - i) * type.of.minSizeBytes;
        if (at + least > end || type.of.fixedSizeBytes !== undefined) {
          at += least;
          break;
        }
        at = needed(type.of, bytes, at, end);
      }
    } else if ('lengthField' in type) {
      const length = lengths.get(type.lengthField) ?? 0;
      const most = type.maxBytes + (type.kind === 'sizedString' ? 1 : 0);
      if (length > most) throw long(what, most, length);
      at += length;
    } else at += fixedSizeOf(type) ?? 0;
  }
  return at;
}

function read({ sizeBytes }: Integer, bytes: Buffer, at: number, endian: 'big' | 'little'): number {
  return endian === 'big' ? bytes.readUIntBE(at, sizeBytes) : bytes.readUIntLE(at, sizeBytes);
}
