/** Layouts that nobody would write, for holding decoders against each other. */
import fc from 'fast-check';
import type {
  ByteOrder,
  EnumType,
  FieldType,
  FloatType,
  IntegerType,
  Member,
  StructType,
} from '../../../lib/ctf/field-types.ts';
import type { TraceClass } from '../../../lib/ctf/trace-class.ts';

const byteOrder = fc.constantFrom<ByteOrder>('little', 'big');
const alignBits = fc.constantFrom(1, 1, 2, 8, 8, 16, 32, 64);

const integer: fc.Arbitrary<IntegerType> = fc.record({
  kind: fc.constant('integer' as const),
  sizeBits: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constantFrom(8, 16, 32, 64)),
  alignBits,
  signed: fc.boolean(),
  byteOrder,
  base: fc.constant(10 as const),
});

const leb: fc.Arbitrary<IntegerType> = fc.boolean().map((signed) => ({
  kind: 'integer',
  sizeBits: 64,
  alignBits: 8,
  signed,
  byteOrder: 'little',
  base: 10,
  leb128: true,
}));

const float: fc.Arbitrary<FloatType> = fc.record({
  kind: fc.constant('float' as const),
  sizeBits: fc.constantFrom(16 as const, 32 as const, 64 as const),
  alignBits,
  byteOrder,
});

const text: FieldType = {
  kind: 'array',
  element: {
    kind: 'integer',
    sizeBits: 8,
    alignBits: 8,
    signed: false,
    byteOrder: 'little',
    base: 10,
    encoding: 'utf8',
  },
  length: 3,
  alignBits: 8,
};

/** Where a field stands: what was declared before it may be its length or tag. */
interface Place {
  /** Names of unsigned integers and of enumerations in the same structure. */
  lengths: string[];
  tags: { name: string; labels: readonly string[] }[];
}

function enumeration(labels: readonly string[]): fc.Arbitrary<EnumType> {
  return fc
    .tuple(integer, fc.array(fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: 0, max: 9 }))))
    .map(([container, ranges]) => ({
      kind: 'enum',
      container,
      labels: ranges.map(([low, size], i) => ({
        label: labels[i % labels.length] as string,
        low: BigInt(container.signed ? low : Math.abs(low)),
        high: BigInt((container.signed ? low : Math.abs(low)) + size),
      })),
      alignBits: container.alignBits,
    }));
}

function fieldType(depth: number, place: Place): fc.Arbitrary<FieldType> {
  const leaves: fc.Arbitrary<FieldType>[] = [
    integer,
    integer,
    leb,
    float,
    fc.constant<FieldType>({ kind: 'string', alignBits: 8 }),
    fc.constant<FieldType>(text),
    fc.constant<FieldType>({ kind: 'string', alignBits: 8, encoding: 'utf16le' }),
    enumeration(['a', 'b', 'c']),
  ];
  if (depth === 0) return fc.oneof(...leaves);
  const inner = fieldType(depth - 1, place);
  const compounds: fc.Arbitrary<FieldType>[] = [
    struct(depth - 1),
    fc
      .tuple(inner, fc.integer({ min: 0, max: 4 }))
      .map(([element, length]) => ({ kind: 'array', element, length, alignBits: element.alignBits })),
  ];
  for (const name of place.lengths)
    compounds.push(
      inner.map((element) => ({
        kind: 'sequence',
        element,
        lengthPath: [name],
        alignBits: element.alignBits,
      })),
      inner.map((field) => ({ kind: 'optional', selectorPath: [name], field, alignBits: 1 })),
    );
  for (const { name, labels } of place.tags)
    compounds.push(
      fc.tuple(...labels.map(() => inner)).map((options) => ({
        kind: 'variant',
        tagPath: [name],
        options: options.map((type, i) => ({ name: labels[i] as string, type })),
        alignBits: 1,
      })),
    );
  return fc.oneof(...leaves, ...compounds);
}

/** A structure: each member may depend on those before it. */
export function struct(depth: number): fc.Arbitrary<StructType> {
  const grow = (members: Member[], place: Place, left: number): fc.Arbitrary<Member[]> =>
    left === 0
      ? fc.constant(members)
      : fieldType(depth, place).chain((type) => {
          const name = `_m${members.length}`;
          const next: Place = { lengths: [...place.lengths], tags: [...place.tags] };
          // A length of more bits would be too long for any packet most of the time.
          if (type.kind === 'integer' && !type.signed && !type.leb128 && type.sizeBits <= 4)
            next.lengths.push(name);
          if (type.kind === 'enum') next.tags.push({ name, labels: ['a', 'b', 'c'] });
          return grow([...members, { name, type }], next, left - 1);
        });
  return fc.tuple(fc.integer({ min: 0, max: 6 }), fc.constantFrom(1, 1, 8, 32)).chain(([count, least]) =>
    grow([], { lengths: [], tags: [] }, count).map((members) => ({
      kind: 'struct' as const,
      members,
      alignBits: members.reduce<number>((most, { type }) => Math.max(most, type.alignBits), least),
    })),
  );
}

/** A trace of one stream and one event, whose payload this is. */
export function traceOf(payload: StructType, eventHeader?: StructType): TraceClass {
  return {
    format: 'ctf-1.8',
    uuid: undefined,
    packetHeader: undefined,
    clocks: new Map(),
    environment: new Map(),
    streams: new Map([
      [
        0n,
        {
          id: 0n,
          packetContext: undefined,
          eventHeader,
          eventContext: undefined,
          events: new Map([
            [0n, { id: 0n, name: 'e', logLevel: undefined, emfUri: undefined, context: undefined, payload }],
          ]),
        },
      ],
    ]),
  };
}
