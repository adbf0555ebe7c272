/** What can be said of fields before any is decoded. */
import type { Field } from './layout.ts';
import { unitBytes } from './runtime.ts';

/** Bits that a field takes at the least. */
export function leastBits(field: Field): number {
  switch (field.kind) {
    case 'integer':
      return field.integer.leb128 ? 8 : field.integer.sizeBits;
    case 'float':
      return field.float.sizeBits;
    case 'string':
      return unitBytes(field.encoding) * 8;
    case 'text':
      return typeof field.length === 'number' ? field.length * 8 : 0;
    case 'struct':
      return field.members.reduce((sum, member) => sum + leastBits(member), 0);
    case 'array':
      return typeof field.length === 'number' && field.length > 0
        ? field.length * leastBits(field.element)
        : 0;
    case 'variant':
      return field.options.length === 0
        ? 0
        : field.options.reduce((least, option) => Math.min(least, leastBits(option.field)), Number.MAX_VALUE);
    case 'optional':
      return 0;
  }
}

const effects = new WeakMap<Field, boolean>();

/** Whether decoding a field does more than passing over it: a clock, an id, a length or tag for others. */
export function hasEffects(field: Field): boolean {
  let known = effects.get(field);
  if (known === undefined) {
    known = findEffects(field);
    effects.set(field, known);
  }
  return known;
}

function findEffects(field: Field): boolean {
  switch (field.kind) {
    case 'integer':
      return field.slot !== undefined || field.role === 'eventId' || field.integer.clock !== undefined;
    case 'float':
    case 'string':
    case 'text':
      return false;
    case 'struct':
      return field.members.some(hasEffects);
    case 'array':
      return hasEffects(field.element);
    case 'variant':
      return field.options.some((option) => hasEffects(option.field));
    case 'optional':
      return hasEffects(field.field);
  }
}
