/** What `millrace view` was asked for, as its options leave it. */
import type { TextStyle } from '../../lib/index.ts';
import { usageError } from '../usage.ts';
import type { TimeBound } from './time-bounds.ts';

export interface ViewSettings {
  help: boolean;
  /** Frames instead of events. */
  raw: boolean;
  follow: boolean;
  /** Words of `-f` and `-n`. */
  fields: string[];
  names: string[];
  delta: boolean;
  clockForm: TextStyle['clock']['form'];
  gmt: boolean;
  offsetSeconds: bigint;
  offsetNs: bigint;
  forceCorrelate: boolean;
  color: 'never' | 'auto' | 'always';
  begin: TimeBound | undefined;
  end: TimeBound | undefined;
  intersection: boolean;
  format: 'text' | 'json' | 'perfetto' | 'none';
  file: string | undefined;
  /** Patterns of event names, of stream files, of processes; comparisons of fields. */
  events: string[];
  streams: string[];
  processes: string[];
  where: string[];
  stats: boolean;
  json: boolean;
  /** Threads that decode. */
  jobs: number;
  /** Whether a terminal is paged. */
  pager: boolean;
}

export function viewDefaults(): ViewSettings {
  return {
    help: false,
    raw: false,
    follow: false,
    fields: [],
    names: [],
    delta: true,
    clockForm: 'time',
    gmt: false,
    offsetSeconds: 0n,
    offsetNs: 0n,
    forceCorrelate: false,
    color: 'auto',
    begin: undefined,
    end: undefined,
    intersection: false,
    format: 'text',
    file: undefined,
    events: [],
    streams: [],
    processes: [],
    where: [],
    stats: false,
    json: false,
    jobs: 1,
    pager: true,
  };
}

/** Words between commas; blanks around them are ignored. */
export function wordsOf(list: string, known: readonly string[]): string[] {
  const words = list
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  for (const word of words)
    if (!known.includes(word)) throw usageError(`"${word}" is none of ${known.join(', ')}`);
  return words;
}

export const fieldWords = [
  'trace',
  'trace:hostname',
  'trace:domain',
  'trace:procname',
  'trace:vpid',
  'loglevel',
  'emf',
  'all',
] as const;

export const nameWords = [
  'payload',
  'arg',
  'args',
  'context',
  'ctx',
  'scope',
  'header',
  'all',
  'none',
] as const;

/** Source: ctf, "Fields". */
export function fieldsOf(words: readonly string[]): TextStyle['fields'] {
  const named = words.filter((word) => word !== 'all');
  const isDefault = words.length === 0;
  const all = words.includes('all');
  const has = (word: string, byDefault: boolean) => all || named.includes(word) || (isDefault && byDefault);
  return {
    trace: has('trace', false),
    hostname: has('trace:hostname', true),
    domain: has('trace:domain', false),
    procname: has('trace:procname', true),
    vpid: has('trace:vpid', true),
    loglevel: has('loglevel', false),
    emf: has('emf', false),
  };
}

const sameNames: Readonly<Record<string, string>> = { arg: 'payload', args: 'payload', ctx: 'context' };

/** Source: ctf, "Names". Throws MR_ERR_USAGE: `all` with `none`. */
export function namesOf(given: readonly string[]): TextStyle['names'] {
  const words = new Set(given.map((word) => sameNames[word] ?? word));
  const all = words.has('all');
  const none = words.delete('none');
  if (all && none) throw usageError('--names: all and none exclude each other');
  const isDefault = !none && words.size === 0;
  const has = (word: string, byDefault: boolean) => all || words.has(word) || (isDefault && byDefault);
  return {
    payload: has('payload', true),
    context: has('context', true),
    scope: has('scope', false),
    header: has('header', false),
  };
}
