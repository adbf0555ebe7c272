import { sizedLength } from './runtime.ts';
import type { Field, Shape } from './types.ts';

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
    else if (type.kind === 'rest') size += (field as Buffer).length;
    else if (type.kind === 'list')
      for (const element of field as object[]) size += type.of.fixedSizeBytes ?? type.of.sizeOf(element);
  }
  return size;
}
