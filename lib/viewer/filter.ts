/** What a view shows: events by name, fields, stream and process. */
import type { FieldStruct, FieldValue } from '../ctf/decode/values.ts';
import type { ScopeValues } from '../ctf/decode/values-emitter.ts';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import { globOf } from '../stage/glob.ts';

/** A test of an event's fields. */
export type Condition = (scopes: ScopeValues) => boolean;

const form = /^\s*([^\s=!<>~]+)\s*(==|=|!=|<=|>=|<|>|!~|~)\s*(.*?)\s*$/su;

/** Scopes by the names that conditions have for them; a name alone is looked for in all of them, in this order. */
const scopes: readonly (readonly [string, keyof ScopeValues])[] = [
  ['payload', 'eventPayload'],
  ['context', 'eventContext'],
  ['streamContext', 'eventCommonContext'],
  ['packetContext', 'packetContext'],
];

/**
 * `NAME OP VALUE`: a field, by its name or a path of names with dots; `=`, `!=`, `<`, `<=`, `>`, `>=`, or `~` and `!~`
 * with a pattern; a number or text. Of an enumeration, a label counts as well as the number. A field that is not there
 * makes no comparison true. Errors: MR_ERR_VIEW_FILTER.
 */
export function conditionOf(text: string): Condition {
  if (text.length > limits.filterLength)
    throw bad(text, `it is longer than ${limits.filterLength} characters`);
  const [, path, operator, value] = form.exec(text) ?? [];
  if (path === undefined || operator === undefined || value === undefined)
    throw bad(text, 'it is no comparison, such as vtid=42, payload.size>=4096 or procname~"web*"');
  const wanted = value.replace(/^(["'])(.*)\1$/su, '$2');
  const compare = comparison(operator, wanted);
  const words = path.split('.');
  return (values) => {
    const found = lookUp(values, words);
    return found !== undefined && compare(found);
  };
}

function lookUp(values: ScopeValues, words: readonly string[]): FieldValue {
  const named = scopes.find(([name]) => name === words[0]);
  if (named !== undefined && words.length > 1) return descend(values[named[1]], words.slice(1));
  for (const [, scope] of scopes) {
    const found = descend(values[scope], words);
    if (found !== undefined) return found;
  }
  return undefined;
}

function descend(from: FieldValue, words: readonly string[]): FieldValue {
  let at: FieldValue = from;
  for (const word of words) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Array.isArray(at) ? (at[Number(word)] as FieldValue) : (at as FieldStruct)[word];
  }
  return at;
}

function comparison(operator: string, wanted: string): (value: FieldValue) => boolean {
  if (operator === '~' || operator === '!~') {
    const glob = globOf(wanted);
    return (value) => textsOf(value).some(glob) === (operator === '~');
  }
  const number = numberOf(wanted);
  return (value) => {
    const plain = isEnum(value) ? value.value : value;
    const isNumber = typeof plain === 'number' || typeof plain === 'bigint';
    if (isNumber && number !== undefined) return ordered(operator, signOf(plain, number));
    const texts = textsOf(value);
    if (operator === '!=') return !texts.includes(wanted);
    return texts.some((text) => ordered(operator, text < wanted ? -1 : text > wanted ? 1 : 0));
  };
}

/** NaN where one of them is. JavaScript compares numbers of both kinds exactly. */
function signOf(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return a <= b ? 0 : Number.NaN;
}

function ordered(operator: string, sign: number): boolean {
  switch (operator) {
    case '!=':
      return sign !== 0;
    case '<':
      return sign < 0;
    case '<=':
      return sign <= 0;
    case '>':
      return sign > 0;
    case '>=':
      return sign >= 0;
    default:
      return sign === 0;
  }
}

function isEnum(value: FieldValue): value is { value: number | bigint; labels: string[] } {
  return typeof value === 'object' && value !== null && 'labels' in value && Array.isArray(value.labels);
}

function textsOf(value: FieldValue): string[] {
  if (isEnum(value)) return [String(value.value), ...value.labels];
  return typeof value === 'object' || value === undefined ? [] : [String(value)];
}

function numberOf(text: string): number | bigint | undefined {
  if (/^-?(\d+|0x[0-9a-f]+)$/i.test(text))
    return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

function bad(text: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_VIEW_FILTER', { text, why });
}
