import assert from 'node:assert';
import { dumpFields } from './dump.ts';
import { generateDecoder, generateEncoder, type Layout } from './generate.ts';
import { short } from './runtime.ts';
import { fixedSizeOf, minSizeOf, sizeOfValue } from './size.ts';
import type { Field, Struct, ValueOf } from './types.ts';

/** Names get into generated code, so they are plain identifiers, and none of them can reach a prototype. */
const identifier = /^[a-z][A-Za-z0-9]*$/;

/** Holds a declaration against the rules that the generated code relies on; a breach is a bug in the declaration. */
function assertSound(name: string, fields: readonly Field[]): void {
  const seen = new Map<string, Field>();
  for (const [i, field] of fields.entries()) {
    const [fieldName, type] = field;
    const what = `${name}.${fieldName}`;
    assert(identifier.test(fieldName) && fieldName !== 'constructor', `${what} is no field name`);
    assert(!seen.has(fieldName), `${what} is declared twice`);
    if ('lengthField' in type) {
      const length = seen.get(type.lengthField)?.[1];
      assert(length?.kind === 'integer' && length.sizeBytes < 8, `${what} has no length field before it`);
    }
    assert(type.kind !== 'rest' || i === fields.length - 1, `${what} leaves nothing for what follows`);
    seen.set(fieldName, field);
  }
}

/**
 * Declares a layout and makes its codec. `name`: as upstream names the structure, used in errors. `fields`: in
 * wire order, `[name, type, unit or meaning, note]`. `endian`: byte order, big unless told. `exact`: bytes behind
 * the last field are an error. A value has every field but padding, constants and derived lengths.
 */
export function struct<const F extends readonly Field[]>(
  name: string,
  fields: F,
  { endian = 'big', exact = false }: { endian?: 'big' | 'little'; exact?: boolean } = {},
): Struct<ValueOf<F>> {
  type T = ValueOf<F>;
  assertSound(name, fields);
  const layout: Layout = { name, fields, endian, exact };
  const decode = generateDecoder<T>(layout);
  const encodeInto = generateEncoder<T>(layout);
  const minSizeBytes = fields.reduce((sum, [, type]) => sum + minSizeOf(type), 0);
  const fixedSizeBytes = fields.every(([, type]) => fixedSizeOf(type) !== undefined)
    ? minSizeBytes
    : undefined;
  const sizeOf = (value: T): number => fixedSizeBytes ?? sizeOfValue(fields, value);
  return {
    name,
    fields,
    endian,
    exact,
    minSizeBytes,
    fixedSizeBytes,
    sizeOf,
    decode: (bytes, start = 0, end = bytes.length) => decode(bytes, start, end),
    encode(value) {
      // Not zeroed: every byte of a layout is written.
      const bytes = Buffer.allocUnsafe(sizeOf(value));
      encodeInto(value, bytes, 0);
      return bytes;
    },
    encodeInto(value, bytes, at) {
      const size = sizeOf(value);
      if (bytes.length - at < size) throw short(name, size, bytes.length - at);
      return encodeInto(value, bytes, at);
    },
    dump: (bytes, start = 0, end = bytes.length) => dumpFields(layout, bytes, start, end).text,
    offsetOf(field) {
      const index = fields.findIndex(([fieldName]) => fieldName === field);
      assert(index >= 0, `${name} has no field ${field}`);
      return fields.slice(0, index).reduce((offset, [, type]) => {
        const size = fixedSizeOf(type);
        assert(size !== undefined, `${name}.${field} has no fixed offset`);
        return offset + size;
      }, 0);
    },
  };
}
