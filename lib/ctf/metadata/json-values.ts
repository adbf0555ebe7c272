/** Values of JSON that are looked at before they are believed; whole numbers of 64 bits keep all their digits. */
import type { MillraceError } from '../../errors.ts';
import { quoted } from './lexer.ts';

/** An object of JSON: members are looked at before they are believed. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Stands for a number that a double cannot hold. */
const large = '\0integer';
const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** As `JSON.parse`; a whole number of 16 digits or more becomes what `integerOf` knows. */
export function parseJson(text: string): unknown {
  return JSON.parse(
    text.replace(token, (word) =>
      /^-?[1-9]\d{15,}$/.test(word) ? `{${JSON.stringify(large)}:"${word}"}` : word,
    ),
  );
}

/** A whole number; undefined: it is none. */
export function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (!isObject(value) || typeof value[large] !== 'string') return undefined;
  return value[large].length > 20 ? undefined : BigInt(value[large]);
}

type Fail = (why: string) => MillraceError;

/** A whole number of at most 53 bits between two bounds. */
export function wholeOf(value: unknown, name: string, least: number, most: number, fail: Fail): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw fail(`${name} is ${quoted(String(value))}, not a whole number from ${least} to ${most}`);
  return value;
}

/** A whole number of 64 bits; `fallback` where there is none. */
export function integerMember(object: JsonObject, name: string, fallback: bigint, fail: Fail): bigint {
  if (object[name] === undefined) return fallback;
  const value = integerOf(object[name]);
  if (value === undefined) throw fail(`${name} is no whole number`);
  return value;
}

export function textMember(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'string' ? value : undefined;
}

/** A value where a word should stand: itself, or what can be said of it in a message. */
export function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
}
