/**
 * Options declared as rows of a table, from which parsing, help text, `--list-options` and the keys of
 * configuration files come. Arguments are read as getopt_long reads them, because that is what the users of
 * lttng-relayd type: long options shortened while they stay clear, short ones glued, operands anywhere.
 */
import { usageError } from './usage.ts';

interface Row {
  /** Long name, without dashes; also the key in configuration files. */
  name: string;
  /** Short name, one letter. */
  short?: string;
  /** Heading in the help text. */
  section: string;
  /** One or two sentences. */
  help: string;
  /** What happens without the option, for the help text. */
  default?: string;
  /** At most one option of a family may stand on a command line. */
  family?: string;
  /** false: no key of configuration files. */
  inFiles?: false;
}

/** An option without argument; `on` is false where a configuration file says no. */
export interface Switch<S> extends Row {
  argument?: undefined;
  set(settings: S, on: boolean): void;
  /** Replaces `set` for a value from a configuration file that is more than yes or no. */
  setLevel?(settings: S, level: number): void;
}

/** An option with an argument. `set` throws `MR_ERR_USAGE` for a bad one, without naming the option. */
export interface Valued<S> extends Row {
  /** Name of the argument in the help text. */
  argument: string;
  set(settings: S, value: string): void;
}

export type Option<S> = Switch<S> | Valued<S>;

/** An option as it stood on the command line. */
export interface Given<S> {
  option: Option<S>;
  value: string | undefined;
}

export interface Parsed<S> {
  given: Given<S>[];
  operands: string[];
}

/**
 * Reads a command line. `argv`: arguments behind the command's name. Everything behind `--` is an operand.
 * Throws `MR_ERR_USAGE`: unknown or ambiguous option, missing or superfluous argument, two of one family.
 */
export function parseOptions<S>(options: readonly Option<S>[], argv: readonly string[]): Parsed<S> {
  const given: Given<S>[] = [];
  const operands: string[] = [];
  const queue = [...argv];
  const argumentOf = (spelled: string): string => {
    const value = queue.shift();
    if (value === undefined) throw usageError(`option ${spelled} needs an argument`);
    return value;
  };
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      operands.push(...queue.splice(0));
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const spelled = equals < 0 ? word : word.slice(0, equals);
      const option = findLong(options, spelled);
      const glued = equals < 0 ? undefined : word.slice(equals + 1);
      if (option.argument === undefined && glued !== undefined)
        throw usageError(`option --${option.name} takes no argument`);
      given.push({
        option,
        value: option.argument === undefined ? undefined : (glued ?? argumentOf(spelled)),
      });
    } else if (word.startsWith('-') && word !== '-') {
      for (let at = 1; at < word.length; at++) {
        const option = options.find((o) => o.short === word[at]);
        if (option === undefined) throw usageError(`unknown option -${word[at]}`);
        if (option.argument === undefined) {
          given.push({ option, value: undefined });
          continue;
        }
        given.push({ option, value: word.slice(at + 1) || argumentOf(`-${word[at]}`) });
        break;
      }
    } else {
      operands.push(word);
    }
  }
  refuseRivals(given);
  return { given, operands };
}

function findLong<S>(options: readonly Option<S>[], spelled: string): Option<S> {
  const name = spelled.slice(2);
  const exact = options.find((option) => option.name === name);
  if (exact !== undefined) return exact;
  const matches = options.filter((option) => option.name.startsWith(name));
  const [only] = matches;
  if (only === undefined) throw usageError(`unknown option ${spelled}`);
  if (matches.length > 1)
    throw usageError(`option ${spelled} is ambiguous: ${matches.map((o) => `--${o.name}`).join(', ')}`);
  return only;
}

function refuseRivals<S>(given: readonly Given<S>[]): void {
  const first = new Map<string, string>();
  for (const { option } of given) {
    if (option.family === undefined) continue;
    const rival = first.get(option.family);
    if (rival !== undefined)
      throw usageError(`option --${option.name} after --${rival}: only one may be given`);
    first.set(option.family, option.name);
  }
}

/** Puts one option into the settings. `where` names the place it came from in the message of `MR_ERR_USAGE`. */
export function applyOption<S>({ option, value }: Given<S>, settings: S, where = ''): void {
  if (option.argument === undefined) {
    option.set(settings, true);
    return;
  }
  try {
    option.set(settings, value ?? '');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw usageError(`${where}--${option.name}: ${error.message}`, error);
  }
}

/** Yes or no as LTTng spells them (yes, true, on, a positive number; no, false, off, 0); undefined for the rest. */
export function parseSwitch(text: string): boolean | undefined {
  if (/^(yes|true|on)$/i.test(text)) return true;
  if (/^(no|false|off)$/i.test(text)) return false;
  return /^\d+$/.test(text) ? Number(text) > 0 : undefined;
}

/** A whole number in decimal, octal (leading 0) or hexadecimal (0x). Throws `MR_ERR_USAGE`. */
export function wholeNumber(text: string): bigint {
  if (!/^(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.test(text)) throw usageError(`"${text}" is no whole number`);
  return BigInt(/^0\d/.test(text) ? `0o${text}` : text);
}

/** The same between `least` and `most`. */
export function parseWhole(text: string, least: number, most: number, unit: string): number {
  const value = Number(wholeNumber(text));
  if (value < least || value > most) throw usageError(`${text} is not between ${least} and ${most} ${unit}`);
  return value;
}

/** A factor above 0. Throws `MR_ERR_USAGE`. */
export function parseFactor(text: string): number {
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(text) || Number(text) === 0)
    throw usageError(`"${text}" is no factor, such as 1 or 0.5`);
  return Number(text);
}

/** A number of bytes, perhaps in k, M or G of 1024. Throws `MR_ERR_USAGE`. */
export function parseBytes(text: string): number {
  const [, digits, unit] = /^(\d{1,12})([kMG]?)$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined)
    throw usageError(`"${text}" is no number of bytes, such as 4194304, 4096k, 4M or 1G`);
  return Number(digits) * 1024 ** ' kMG'.indexOf(unit || ' ');
}

/** One of the words. Throws `MR_ERR_USAGE`. */
export function parseWord<W extends string>(text: string, words: readonly W[]): W {
  const found = words.find((word) => word === text);
  if (found === undefined) throw usageError(`"${text}" is none of ${words.join(', ')}`);
  return found;
}
