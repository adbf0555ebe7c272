import { MillraceError } from '../errors.ts';

/**
 * A 64-bit integer as a number. `what`: the quantity, for the error. Throws `MR_ERR_WIRE_RANGE` where a number
 * would lose digits.
 */
export function narrow(value: bigint, what: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new MillraceError('MR_ERR_WIRE_RANGE', { what, got: value, expected: 'a safe integer' });
  return number;
}
