/** Fields as values of JavaScript. */
import { textOfBytes } from '../byte-text.ts';
import type { Encoding } from '../field-types.ts';
import type { IntegerField } from './layout.ts';
import { wideText } from './runtime.ts';

/** A number of an enumeration, with the labels whose ranges hold it, in the order of the metadata. */
export interface EnumValue {
  value: number | bigint;
  labels: string[];
}

/**
 * The value of a field. Integers of up to 32 bits are numbers, larger types bigints, whatever they hold; a variant is
 * the value of its option; an optional field that is not there is undefined. Structures have no prototype: their
 * members may have any name.
 */
export type FieldValue =
  | number
  | bigint
  | boolean
  | string
  | EnumValue
  | readonly FieldValue[]
  | FieldStruct
  | undefined;

export interface FieldStruct {
  readonly [name: string]: FieldValue;
}

/** The value of an integer from its exact value. */
export function integerValue({ integer, labels }: IntegerField, exact: bigint): FieldValue {
  if (integer.boolean) return exact !== 0n;
  const value = integer.sizeBits > 32 ? exact : Number(exact);
  if (labels === undefined) return value;
  const matching = labels.filter(({ low, high }) => low <= exact && exact <= high).map(({ label }) => label);
  return { value, labels: [...new Set(matching)] };
}

/** The text of bytes up to the first NUL, or all of them. */
export function textValue(bytes: Uint8Array, start: number, end: number, encoding: Encoding): string {
  if (encoding !== 'utf8' && encoding !== 'ascii') return wideText(bytes, start, end, encoding);
  const nul = bytes.subarray(start, end).indexOf(0);
  const stop = nul < 0 ? end : start + nul;
  return textOfBytes(Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString('latin1'));
}
