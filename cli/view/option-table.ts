/** The options of `millrace view`: those of babeltrace2 that act on text, and our own. */
import { helpOption, jsonOption } from '../common-options.ts';
import type { Option } from '../options.ts';
import { parseWord, wholeNumber } from '../options.ts';
import { usageError } from '../usage.ts';
import { fieldWords, nameWords, type ViewSettings, wordsOf } from './settings.ts';
import { parseTimeBound, parseTimeRange } from './time-bounds.ts';

const text = 'Text';
const time = 'Time';
const selection = 'Selection';
const output = 'Output';

function clockForm(name: string, form: ViewSettings['clockForm'], help: string): Option<ViewSettings> {
  const weight = ['time', 'date', 'seconds', 'cycles'];
  return {
    name,
    section: time,
    help,
    // Cycles win over seconds, seconds over the date, whatever comes first.
    set: (settings, on) => {
      if (on && weight.indexOf(form) > weight.indexOf(settings.clockForm)) settings.clockForm = form;
    },
  };
}

function list(
  name: string,
  argument: string,
  key: 'events' | 'where' | 'streams' | 'processes',
  help: string,
): Option<ViewSettings> {
  return {
    name,
    argument,
    section: selection,
    help,
    set: (settings, value) => void settings[key].push(value),
  };
}

function setBegin(settings: ViewSettings, bound: ViewSettings['begin']): void {
  if (settings.begin !== undefined) throw usageError('the beginning of the time range was given before');
  settings.begin = bound;
}

function setEnd(settings: ViewSettings, bound: ViewSettings['end']): void {
  if (settings.end !== undefined) throw usageError('the end of the time range was given before');
  settings.end = bound;
}

/** As babeltrace2 reads it: perhaps in binary (0b), with a sign, and blanks around. */
export function parseOffset(value: string): bigint {
  const text = value.trim();
  const isNegative = text.startsWith('-');
  const digits = isNegative ? text.slice(1).trimStart() : text;
  const magnitude = /^0b[01]+$/i.test(digits) ? BigInt(digits) : wholeNumber(digits);
  if (magnitude >= 10n ** 18n) throw usageError(`${digits} is too much`);
  return isNegative ? -magnitude : magnitude;
}

export const viewOptionTable: readonly Option<ViewSettings>[] = [
  {
    name: 'begin',
    short: 'b',
    argument: 'TIME',
    section: selection,
    help: 'Leave out events before TIME: YYYY-MM-DD [hh:mm[:ss[.n]]], hh:mm[:ss[.n]] of the first day, or [-]seconds[.n].',
    set: (settings, value) => setBegin(settings, parseTimeBound(value)),
  },
  {
    name: 'end',
    short: 'e',
    argument: 'TIME',
    section: selection,
    help: 'Leave out events after TIME.',
    set: (settings, value) => setEnd(settings, parseTimeBound(value)),
  },
  {
    name: 'timerange',
    short: 't',
    argument: 'BEGIN,END',
    section: selection,
    help: 'Both bounds, in brackets or not.',
    set: (settings, value) => {
      const [begin, end] = parseTimeRange(value);
      setBegin(settings, begin);
      setEnd(settings, end);
    },
  },
  list(
    'event',
    'PATTERN',
    'events',
    'Only events whose name matches: `*`, `?`, `[a-z]`. May be given several times: any of them.',
  ),
  list(
    'where',
    'COMPARISON',
    'where',
    'Only events with such a field: NAME, one of = != < <= > >= ~ !~, and a number, text or pattern. May be given several times: all of them.',
  ),
  list(
    'stream',
    'PATTERN',
    'streams',
    'Only streams whose first file has such a name, such as `channel0_*`. May be given several times: any of them.',
  ),
  list(
    'process',
    'WHO',
    'processes',
    'Only events of a process: its vpid, or a pattern of its procname. May be given several times: any of them.',
  ),
  {
    name: 'stats',
    section: output,
    help: 'Print counts and rates in place of events: by event class, and by stream.',
    set: (settings, on) => {
      settings.stats = on;
    },
  },
  jsonOption('Print the counts of --stats as JSON; without it, the same as --output=json.'),
  {
    name: 'stream-intersection',
    section: selection,
    help: 'Of each trace, only the time in which all its streams have packets.',
    set: (settings, on) => {
      settings.intersection = on;
    },
  },
  {
    name: 'fields',
    short: 'f',
    argument: 'LIST',
    section: text,
    help: `Facts of the trace before the name of an event: ${fieldWords.join(', ')}.`,
    default: 'trace:hostname,trace:procname,trace:vpid',
    set: (settings, value) => {
      settings.fields.push(...wordsOf(value, fieldWords));
    },
  },
  {
    name: 'names',
    short: 'n',
    argument: 'LIST',
    section: text,
    help: `Names before values: ${nameWords.join(', ')}.`,
    default: 'payload,context',
    set: (settings, value) => {
      settings.names.push(...wordsOf(value, nameWords));
    },
  },
  {
    name: 'no-delta',
    section: text,
    help: 'Leave out the time since the event before.',
    set: (settings, on) => {
      settings.delta = !on;
    },
  },
  {
    name: 'color',
    argument: 'WHEN',
    section: text,
    help: 'never, auto or always: colours on a terminal, or everywhere with BABELTRACE_TERM_COLOR=always.',
    default: 'auto',
    set: (settings, value) => {
      settings.color = parseWord(value, ['never', 'auto', 'always']);
    },
  },
  clockForm('clock-cycles', 'cycles', "The clock's value in place of the time."),
  clockForm('clock-date', 'date', 'The date before the time.'),
  clockForm('clock-seconds', 'seconds', 'Seconds since the origin in place of the time of day.'),
  {
    name: 'clock-gmt',
    section: time,
    help: 'UTC in place of the local time.',
    set: (settings, on) => {
      settings.gmt = on;
    },
  },
  {
    name: 'clock-offset',
    argument: 'SECONDS',
    section: time,
    help: 'Add to all clocks.',
    set: (settings, value) => {
      settings.offsetSeconds = parseOffset(value);
    },
  },
  {
    name: 'clock-offset-ns',
    argument: 'NS',
    section: time,
    help: 'Add nanoseconds to all clocks.',
    set: (settings, value) => {
      settings.offsetNs = parseOffset(value);
    },
  },
  {
    name: 'clock-force-correlate',
    section: time,
    help: 'Take all clocks as showing the same time.',
    set: (settings, on) => {
      settings.forceCorrelate = on;
    },
  },
  {
    name: 'output',
    short: 'o',
    argument: 'FORMAT',
    section: output,
    help: 'text, json (one event a line), perfetto (a trace for the Perfetto UI), or none: decode and print nothing. Any other word is a file to write to.',
    default: 'text',
    set: (settings, value) => {
      if (value === 'text' || value === 'json' || value === 'perfetto') settings.format = value;
      else if (value === 'none' || value === 'dummy') settings.format = 'none';
      else settings.file = value;
    },
  },
  {
    name: 'output-format',
    argument: 'FORMAT',
    section: output,
    help: 'The same as --output, where it is a format.',
    set: (settings, value) => {
      const format = parseWord(value, ['text', 'json', 'perfetto', 'none', 'dummy']);
      settings.format = format === 'dummy' ? 'none' : format;
    },
  },
  {
    name: 'output-file',
    short: 'w',
    argument: 'FILE',
    section: output,
    help: 'Write to FILE.',
    set: (settings, value) => {
      settings.file = value;
    },
  },
  {
    name: 'input-format',
    short: 'i',
    argument: 'FORMAT',
    section: output,
    help: 'ctf, which is all that is read.',
    set: (_settings, value) => {
      parseWord(value, ['ctf']);
    },
  },
  {
    name: 'no-pager',
    section: output,
    help: 'Do not page. Otherwise what goes to a terminal goes through $PAGER, or less, unless it is still coming.',
    set: (settings, on) => {
      settings.pager = !on;
    },
  },
  {
    name: 'jobs',
    argument: 'N',
    section: output,
    help: 'Decode finished directories in N threads, at most 64. What is printed is the same.',
    default: '1',
    set: (settings, value) => {
      if (!/^[1-9]\d?$/.test(value) || Number(value) > 64)
        throw usageError(`--jobs=${value} is not a number from 1 to 64`);
      settings.jobs = Number(value);
    },
  },
  {
    name: 'raw',
    section: output,
    help: 'Print frames instead of events, as JSON, one a line: what the source brings, before anything is decoded. One SOURCE, which may also be live://HOST/host/HOSTNAME/SESSION, capture:FILE or -.',
    set: (settings, on) => {
      settings.raw = on;
    },
  },
  {
    name: 'follow',
    section: output,
    help: 'Go on with a directory that a relay or a tracer is writing, until nobody does.',
    set: (settings, on) => {
      settings.follow = on;
    },
  },
  helpOption(),
];
