/**
 * Straight-line decoders and encoders from a declaration. Only our own declarations get into the text: `struct`
 * has checked every name to be a plain identifier. Fields of fixed size are checked and reached together, as one
 * run with constant offsets; behind each field of variable size a new run begins.
 */
import * as runtime from './runtime.ts';
import { fixedSizeOf } from './size.ts';
import type { Field, Integer, Shape } from './types.ts';

export interface Layout {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly endian: 'big' | 'little';
  readonly exact: boolean;
}

export type Decoder<T> = (bytes: Buffer, start: number, end: number) => T;
/** Writes without looking whether there is room: that has been checked. */
export type Encoder<T> = (value: T, bytes: Buffer, at: number) => number;

const accessor = (type: Integer): string =>
  type.sizeBytes === 8 ? (type.signed ? 'BigInt64' : 'BigUint64') : `Uint${type.sizeBytes * 8}`;

const literal = (type: Integer): string => `${type.constant}${type.sizeBytes === 8 ? 'n' : ''}`;

/** Calls of the runtime take the struct's and the field's name for their errors. */
const call = (name: string, where: string, field: string, ...args: (string | number)[]): string =>
  `r.${name}(${[...args, JSON.stringify(where), JSON.stringify(field)].join(', ')})`;

function compile<F>(args: string, lines: readonly string[], types: readonly Shape[]): F {
  const body = `'use strict'; return (${args}) => {\n${lines.join('\n')}\n};`;
  // oxlint-disable-next-line no-implied-eval, no-new-func
  return new Function('r', 'types', body)(runtime, types) as F;
}

/** Bytes of the run of fixed-size fields that begins at `first`. */
function runSize(fields: readonly Field[], first: number): number {
  let size = 0;
  for (const [, type] of fields.slice(first)) {
    const fixed = fixedSizeOf(type);
    if (fixed === undefined) break;
    size += fixed;
  }
  return size;
}

const lengthFieldsOf = (fields: readonly Field[]): Map<string, { name: string; type: Shape }> =>
  new Map(
    fields.flatMap(([name, type]) => ('lengthField' in type ? [[type.lengthField, { name, type }]] : [])),
  );

/** The decoder of a layout: `p` is where the run begins, `q` the same in the memory behind the buffer. */
export function generateDecoder<T>({ name: where, fields, endian, exact }: Layout): Decoder<T> {
  const little = endian === 'little';
  const derived = lengthFieldsOf(fields);
  const lines: string[] = [];
  const inValue: string[] = [];
  let offset = 0;
  const startRun = (first: number): void => {
    const size = runSize(fields, first);
    const what = JSON.stringify(where);
    offset = 0;
    if (size > 0)
      lines.push(`if (end - p < ${size}) throw r.short(${what}, p - start + ${size}, end - start);`);
  };
  lines.push('if (end > b.length) end = b.length;');
  lines.push('const d = r.viewOf(b); let p = start; let q = b.byteOffset + start;');
  startRun(0);
  for (const [i, [name, type]] of fields.entries()) {
    const read = (of: Integer, at: number): string => `d.get${accessor(of)}(q + ${at}, ${little})`;
    const set = (code: string): void => {
      lines.push(`const $${name} = ${code};`);
      if (!derived.has(name)) inValue.push(`${name}: $${name}`);
    };
    switch (type.kind) {
      case 'integer':
        if (type.constant !== undefined) {
          lines.push(`const $${name} = ${read(type, offset)};`);
          const wrong = call('notExpected', where, name, literal(type), `$${name}`);
          lines.push(`if ($${name} !== ${literal(type)}) throw ${wrong};`);
        } else set(type.flag ? `${read(type, offset)} !== 0` : read(type, offset));
        break;
      case 'optional':
        set(`b[p + ${offset}] === 0 ? undefined : ${read(type.of, offset + 1 + type.paddingSizeBytes)}`);
        break;
      case 'bytes':
        set(`b.subarray(p + ${offset}, p + ${offset + type.sizeBytes})`);
        break;
      case 'fixedString':
        set(call('readFixedString', where, name, 'b', `p + ${offset}`, type.sizeBytes, type.maxBytes));
        break;
      case 'padding':
        break;
      case 'sizedString': {
        const length = `$${type.lengthField}`;
        lines.push(`p += ${offset};`);
        const string = call('readSizedString', where, name, 'b', 'p', 'end', length, type.maxBytes);
        set(type.optional ? `${length} === 0 ? undefined : ${string}` : string);
        lines.push(`p += ${length}; q = b.byteOffset + p;`);
        break;
      }
      case 'text': {
        const length = `$${type.lengthField}`;
        lines.push(`p += ${offset};`);
        set(call('readText', where, name, 'b', 'p', 'end', length, type.maxBytes));
        lines.push(`p += ${length}; q = b.byteOffset + p;`);
        break;
      }
      case 'list': {
        const of = `types[${i}].of`;
        lines.push(`p += ${offset};`);
        set(call('readList', where, name, 'b', 'p', 'end', `$${type.lengthField}`, of, type.max));
        const each = type.of.fixedSizeBytes;
        lines.push(
          each === undefined
            ? `for (const element of $${name}) p += ${of}.sizeOf(element);`
            : `p += ${each} * $${name}.length;`,
          'q = b.byteOffset + p;',
        );
        break;
      }
      case 'rest':
        set(`b.subarray(p + ${offset}, end)`);
        lines.push('p = end;');
        break;
    }
    const fixed = fixedSizeOf(type);
    if (fixed === undefined) startRun(i + 1);
    else offset += fixed;
  }
  if (exact)
    lines.push(
      `if (p + ${offset} !== end) throw r.long(${JSON.stringify(where)}, p + ${offset} - start, end - start);`,
    );
  lines.push(`return { ${inValue.join(', ')} };`);
  return compile(
    'b, start, end',
    lines,
    fields.map(([, type]) => type),
  );
}

/** The encoder of a layout. Length fields are derived from what they count. */
export function generateEncoder<T>({ name: where, fields, endian }: Layout): Encoder<T> {
  const little = endian === 'little';
  const derived = lengthFieldsOf(fields);
  const lines: string[] = ['const d = r.viewOf(b); let p = at; let q = b.byteOffset + at;'];
  let offset = 0;
  for (const [i, [name, type]] of fields.entries()) {
    const write = (of: Integer, at: number, value: string): void => {
      const fit =
        of.sizeBytes === 8
          ? call('fitBigint', where, name, value, ...bigRange(of))
          : call('fitNumber', where, name, value, 2 ** (of.sizeBytes * 8) - 1);
      lines.push(`d.set${accessor(of)}(q + ${at}, ${fit}, ${little});`);
    };
    const value = `v.${name}`;
    switch (type.kind) {
      case 'integer':
        write(type, offset, integerSource(name, type, derived.get(name)));
        break;
      case 'optional':
        lines.push(`b[p + ${offset}] = ${value} === undefined ? 0 : 1;`);
        if (type.paddingSizeBytes > 0)
          lines.push(`b.fill(0, p + ${offset + 1}, p + ${offset + 1 + type.paddingSizeBytes});`);
        write(
          type.of,
          offset + 1 + type.paddingSizeBytes,
          `${value} ?? ${type.of.sizeBytes === 8 ? '0n' : '0'}`,
        );
        break;
      case 'bytes':
        lines.push(`${call('writeBytes', where, name, value, 'b', `p + ${offset}`, type.sizeBytes)};`);
        break;
      case 'padding':
        lines.push(`b.fill(0, p + ${offset}, p + ${offset + type.sizeBytes});`);
        break;
      case 'fixedString':
        lines.push(`b.fill(0, p + ${offset}, p + ${offset + type.sizeBytes});`);
        lines.push(`${call('writeString', where, name, value, 'b', `p + ${offset}`, type.maxBytes)};`);
        break;
      case 'sizedString': {
        lines.push(`p += ${offset};`);
        const written = call('writeString', where, name, value, 'b', 'p', type.maxBytes);
        lines.push(type.optional ? `if (${value} !== undefined) p += ${written};` : `p += ${written};`);
        break;
      }
      case 'text':
        lines.push(`p += ${offset};`);
        lines.push(`p += ${call('writeText', where, name, value, 'b', 'p', type.maxBytes)};`);
        break;
      case 'list':
        lines.push(
          `p = ${call('writeList', where, name, value, 'b', `p + ${offset}`, `types[${i}].of`, type.max)};`,
        );
        break;
      case 'rest':
        lines.push(`b.set(${value}, p + ${offset}); p += ${offset} + ${value}.length;`);
        break;
    }
    const fixed = fixedSizeOf(type);
    if (fixed === undefined) {
      lines.push('q = b.byteOffset + p;');
      offset = 0;
    } else offset += fixed;
  }
  lines.push(`return p + ${offset};`);
  return compile(
    'v, b, at',
    lines,
    fields.map(([, type]) => type),
  );
}

const bigRange = (of: Integer): [string, string] =>
  of.signed ? [`${-(2n ** 63n)}n`, `${2n ** 63n - 1n}n`] : ['0n', `${2n ** 64n - 1n}n`];

/** Where the integer of a field comes from: a constant, a boolean, the length of another field, or the value. */
function integerSource(
  name: string,
  type: Integer,
  counted: { name: string; type: Shape } | undefined,
): string {
  if (type.constant !== undefined) return literal(type);
  if (type.flag) return `v.${name} ? 1 : 0`;
  if (counted === undefined) return `v.${name}`;
  const from = `v.${counted.name}`;
  if (counted.type.kind === 'list') return `${from}.length`;
  return counted.type.kind === 'text' ? `r.textLength(${from})` : `r.sizedLength(${from})`;
}
