/** What the fields of an event say of where it happened. */
import type { FieldStruct, FieldValue } from '../../ctf/decode/values.ts';
import type { ScopeValues } from '../../ctf/decode/values-emitter.ts';
import type { SliceRole } from './rules.ts';

/** What is known of where an event happened. */
export interface Place {
  pid: bigint | undefined;
  tid: bigint | undefined;
  cpu: bigint | undefined;
  procname: string | undefined;
}

export function placeOf(
  { eventContext, eventCommonContext }: ScopeValues,
  packetContext: FieldStruct | undefined,
): Place {
  const contexts = [eventContext, eventCommonContext];
  return {
    pid: integerOf(contexts, 'vpid') ?? integerOf(contexts, 'pid'),
    tid: integerOf(contexts, 'vtid') ?? integerOf(contexts, 'tid'),
    cpu: integerOf([packetContext], 'cpu_id') ?? integerOf(contexts, 'cpu_id'),
    procname: textOf(contexts, 'procname'),
  };
}

/** What a field says that names a slice; numbers are addresses. */
export function fieldText(role: SliceRole | undefined, payload: FieldStruct | undefined): string | undefined {
  const value = role?.field === undefined ? undefined : payload?.[role.field];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? `0x${value.toString(16)}` : undefined;
}

export function integerOf(scopes: readonly (FieldStruct | undefined)[], name: string): bigint | undefined {
  const value = lookUp(scopes, name);
  return typeof value === 'bigint' || Number.isInteger(value) ? BigInt(value as number) : undefined;
}

export function textOf(scopes: readonly (FieldStruct | undefined)[], name: string): string | undefined {
  const value = lookUp(scopes, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function lookUp(scopes: readonly (FieldStruct | undefined)[], name: string): FieldValue {
  for (const scope of scopes) if (scope?.[name] !== undefined) return scope[name];
  return undefined;
}
