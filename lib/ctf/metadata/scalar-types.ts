/** Integers, floating point numbers and strings of TSDL from their attributes. Source: ctf, "TSDL: meaning". */
import type { MillraceError } from '../../errors.ts';
import type { ByteOrder, FieldType, FloatType, IntegerType } from '../field-types.ts';
import { quoted } from './lexer.ts';
import type { Attribute, Expression, TypeSpecifier } from './syntax.ts';

/** What scalars need to know of their trace. */
export interface TraceFacts {
  byteOrder: ByteOrder;
  clocks: { has(name: string): boolean };
  environment: ReadonlyMap<string, bigint | string>;
  error(at: number, why: string): MillraceError;
}

/** Words that mean the same, by their meaning. */
function spelled<T>(...spellings: (readonly [T, string])[]): ReadonlyMap<string, T> {
  return new Map(spellings.flatMap(([meaning, words]) => words.split(' ').map((word) => [word, meaning])));
}

const bases = spelled<IntegerType['base']>(
  [2, '2 binary b'],
  [8, '8 octal oct o'],
  [10, '10 decimal dec d i u'],
  [16, '16 hexadecimal hex x X p'],
);
const byteOrders = spelled<ByteOrder>(['big', 'be network'], ['little', 'le']);
const truths = spelled<boolean>([true, 'true TRUE 1'], [false, 'false FALSE 0']);
const encodings = spelled<'none' | 'utf8' | 'ascii'>(
  ['none', 'none'],
  ['utf8', 'UTF8 utf8 UTF-8 utf-8'],
  ['ascii', 'ASCII ascii'],
);

/** An expression as one word. */
export function wordOf(value: Expression): string {
  return value.kind === 'path' ? value.words.join('.') : String(value.value);
}

/** The type that a scalar spells out. Errors: MR_ERR_CTF_METADATA. */
export function scalarType(
  specifier: Extract<TypeSpecifier, { kind: 'scalar' }>,
  trace: TraceFacts,
): FieldType {
  const attributes = new Map<string, Attribute>();
  for (const attribute of specifier.attributes) {
    if (attributes.has(attribute.name)) throw trace.error(attribute.at, `${quoted(attribute.name)} twice`);
    attributes.set(attribute.name, attribute);
  }
  if (specifier.keyword === 'string') {
    oneOf(attributes.get('encoding'), encodings, 'none', trace);
    return { kind: 'string', alignBits: 8 };
  }
  return specifier.keyword === 'integer'
    ? integerType(attributes, specifier.at, trace)
    : floatType(attributes, specifier.at, trace);
}

function integerType(attributes: Map<string, Attribute>, at: number, trace: TraceFacts): IntegerType {
  const sizeBits = wholeOf(attributes.get('size'), at, 'the size of an integer', trace);
  if (sizeBits < 1 || sizeBits > 64) throw trace.error(at, `an integer of ${sizeBits} bits`);
  const encoding = oneOf(attributes.get('encoding'), encodings, 'none', trace);
  const clock = clockOf(attributes.get('map'), trace);
  return {
    kind: 'integer',
    sizeBits,
    alignBits: alignmentOf(attributes.get('align')?.value, sizeBits % 8 === 0 ? 8 : 1, trace),
    signed: oneOf(attributes.get('signed'), truths, false, trace),
    byteOrder: byteOrderOf(attributes, trace),
    base: oneOf(attributes.get('base'), bases, 10, trace),
    ...(encoding !== 'none' && { encoding }),
    ...(clock !== undefined && { clock }),
  };
}

function floatType(attributes: Map<string, Attribute>, at: number, trace: TraceFacts): FloatType {
  const exponent = wholeOf(attributes.get('exp_dig'), at, 'exp_dig', trace);
  const mantissa = wholeOf(attributes.get('mant_dig'), at, 'mant_dig', trace);
  const sizeBits = `${exponent}/${mantissa}` === '8/24' ? 32 : `${exponent}/${mantissa}` === '11/53' ? 64 : 0;
  if (sizeBits === 0) throw trace.error(at, `floating point numbers of ${exponent}/${mantissa} digits`);
  const alignBits = alignmentOf(attributes.get('align')?.value, 8, trace);
  return { kind: 'float', sizeBits, alignBits, byteOrder: byteOrderOf(attributes, trace) };
}

function byteOrderOf(attributes: Map<string, Attribute>, trace: TraceFacts): ByteOrder {
  const attribute = attributes.get('byte_order');
  if (attribute !== undefined && wordOf(attribute.value) === 'native') return trace.byteOrder;
  return oneOf(attribute, byteOrders, trace.byteOrder, trace);
}

/** `be` or `le`, or undefined for any other word: a trace must say it. */
export function traceByteOrder(value: Expression): ByteOrder | undefined {
  return byteOrders.get(wordOf(value));
}

/** Undefined for any word that is neither true nor false. */
export function truthOf(value: Expression): boolean | undefined {
  return truths.get(wordOf(value));
}

/** A power of two; `fallback` where nothing is said. Errors: MR_ERR_CTF_METADATA. */
export function alignmentOf(value: Expression | undefined, fallback: number, trace: TraceFacts): number {
  if (value === undefined) return fallback;
  const bits = value.kind === 'integer' ? value.value : 0n;
  // More than any buffer is aligned to, and small enough to count with.
  if (bits < 1n || bits > 2n ** 30n || (bits & (bits - 1n)) !== 0n)
    throw trace.error(value.at, `alignment ${quoted(wordOf(value))} is no power of two`);
  return Number(bits);
}

function clockOf(map: Attribute | undefined, trace: TraceFacts): string | undefined {
  if (map === undefined) return undefined;
  const name = /^clock\.(.+)\.value$/.exec(wordOf(map.value))?.[1];
  if (name === undefined || !trace.clocks.has(name))
    throw trace.error(map.at, `${quoted(wordOf(map.value))} is no clock's value`);
  return name;
}

function wholeOf(attribute: Attribute | undefined, at: number, what: string, trace: TraceFacts): number {
  if (attribute?.value.kind !== 'integer')
    throw trace.error(attribute?.at ?? at, `${what} is missing or no integer`);
  return Number(attribute.value.value);
}

function oneOf<T>(
  attribute: Attribute | undefined,
  words: ReadonlyMap<string, T>,
  fallback: T,
  trace: TraceFacts,
): T {
  if (attribute === undefined) return fallback;
  const word = wordOf(attribute.value);
  const meaning = words.get(word);
  if (meaning === undefined) throw trace.error(attribute.at, `${attribute.name} is ${quoted(word)}`);
  return meaning;
}
