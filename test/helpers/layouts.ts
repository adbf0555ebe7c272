/** Valid values and hostile bytes for any declared layout. */
import fc from 'fast-check';
import type { Shape, Struct } from '../../lib/schema/index.ts';

/** Names as hosts have them: any text without NUL, short enough in bytes. */
const text = (maxBytes: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'grapheme', maxLength: Math.min(maxBytes, 40) })
    .map((name) => name.replaceAll('\0', ''))
    .filter((name) => Buffer.byteLength(name) <= maxBytes);

const view = (size: { minLength: number; maxLength: number }): fc.Arbitrary<Buffer> =>
  fc.uint8Array(size).map((array) => Buffer.from(array));

function arbitraryOfType(type: Shape): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'integer':
      if (type.flag) return fc.boolean();
      if (type.sizeBytes < 8) return fc.nat({ max: 2 ** 31 - 1 }).map((n) => n % 2 ** (8 * type.sizeBytes));
      return type.signed
        ? fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
        : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case 'optional':
      return fc.option(arbitraryOfType(type.of), { nil: undefined });
    case 'bytes':
      return view({ minLength: type.sizeBytes, maxLength: type.sizeBytes });
    case 'rest':
      return view({ minLength: 0, maxLength: 64 });
    case 'fixedString':
      return text(type.maxBytes);
    case 'sizedString':
      return type.optional ? fc.option(text(type.maxBytes), { nil: undefined }) : text(type.maxBytes);
    case 'text':
      return text(type.maxBytes);
    case 'list':
      return fc.array(arbitraryOf(type.of), { maxLength: Math.min(type.max, 8) });
    case 'padding':
      return fc.constant(undefined);
  }
}

/** Values that the layout can carry. */
export function arbitraryOf<T extends object>({ fields }: Struct<T>): fc.Arbitrary<T> {
  const derived = new Set(fields.flatMap(([, type]) => ('lengthField' in type ? [type.lengthField] : [])));
  const inValue = fields.filter(
    ([name, type]) =>
      !derived.has(name) &&
      type.kind !== 'padding' &&
      !(type.kind === 'integer' && type.constant !== undefined),
  );
  const model = Object.fromEntries(inValue.map(([name, type]) => [name, arbitraryOfType(type)]));
  return fc.record(model, { noNullPrototype: true }) as unknown as fc.Arbitrary<T>;
}

/** Bytes with one thing wrong, and what it is. */
export interface Mutation {
  what: string;
  bytes: Buffer;
}

/** Truncations in and at each field of fixed offset, and length fields one less, one more, and at their most. */
export function mutationsOf<T extends object>(layout: Struct<T>, valid: Buffer): Mutation[] {
  const mutations: Mutation[] = [];
  let offset: number | undefined = 0;
  for (const [name, type] of layout.fields) {
    if ('lengthField' in type || type.kind === 'rest') offset = undefined;
    if (offset === undefined) continue;
    mutations.push({ what: `cut before ${name}`, bytes: valid.subarray(0, offset) });
    if (type.kind === 'integer') {
      const at = offset;
      const max = 256 ** type.sizeBytes;
      const now = type.sizeBytes < 8 ? valid.readUIntBE(at, type.sizeBytes) : undefined;
      const counts = layout.fields.some(([, other]) => 'lengthField' in other && other.lengthField === name);
      if (counts && now !== undefined)
        for (const wrong of [now - 1, now + 1, max - 1, max / 2]) {
          const bytes = Buffer.from(valid);
          bytes.writeUIntBE((wrong + max) % max, at, type.sizeBytes);
          mutations.push({ what: `${name} ${wrong} in place of ${now}`, bytes });
        }
      offset += type.sizeBytes;
    } else if (type.kind === 'optional') offset += 1 + type.paddingSizeBytes + type.of.sizeBytes;
    else if ('sizeBytes' in type) offset += type.sizeBytes;
    mutations.push({ what: `cut in ${name}`, bytes: valid.subarray(0, (offset as number) - 1) });
  }
  if (valid.length > 0) mutations.push({ what: 'without its last byte', bytes: valid.subarray(0, -1) });
  return mutations;
}
