/** Every option of `millrace pipe`. */
import { controlOption, helpOption, jsonOption, section, speedOption } from '../common-options.ts';
import type { Option } from '../options.ts';
import { usageError } from '../usage.ts';
import { parseTimeBound, type TimeBound } from '../view/time-bounds.ts';

/** What the command line says. */
export interface PipeSettings {
  help: boolean;
  json: boolean;
  strict: boolean;
  follow: boolean;
  sessions: string[];
  streams: string[];
  begin: TimeBound | undefined;
  end: TimeBound | undefined;
  gmt: boolean;
  speed: number | undefined;
  control: string | undefined;
}

/** See the file's head. */
export const pipeOptionTable: readonly Option<PipeSettings>[] = [
  {
    name: 'session',
    short: 's',
    argument: 'PATTERN',
    section,
    help: 'Only sessions of this name, or HOSTNAME/NAME; * and ? stand for any characters and for one. Repeatable.',
    set: (settings, value) => void settings.sessions.push(value),
  },
  {
    name: 'stream',
    argument: 'PATTERN',
    section,
    help: 'Only data streams of this name, such as channel0_*, or PATH/NAME. Metadata goes along. Repeatable.',
    set: (settings, value) => void settings.streams.push(value),
  },
  {
    name: 'begin',
    short: 'b',
    argument: 'TIME',
    section,
    help: 'Leave out packets that end before TIME: YYYY-MM-DD [hh:mm[:ss[.n]]], or seconds[.n] since 1970.',
    set: (settings, value) => {
      settings.begin = dayBound(value);
    },
  },
  {
    name: 'end',
    short: 'e',
    argument: 'TIME',
    section,
    help: 'Leave out packets that begin after TIME.',
    set: (settings, value) => {
      settings.end = dayBound(value);
    },
  },
  {
    name: 'gmt',
    section,
    help: 'Dates are in UTC, not in local time.',
    set: (settings, on) => {
      settings.gmt = on;
    },
  },
  speedOption(
    'Keep the pauses of a frame log: 1 as they were when it was written, 2 twice as fast.',
    'no pauses',
  ),
  {
    name: 'strict',
    section,
    help: 'Refuse what real peers are forgiven, such as a session that was never closed.',
    set: (settings, on) => {
      settings.strict = on;
    },
  },
  {
    name: 'follow',
    section,
    help: 'Go on with a directory that a relay or a tracer is writing, until nobody does.',
    set: (settings, on) => {
      settings.follow = on;
    },
  },
  controlOption('Make a control socket at PATH, for millrace ctl: status, stop.'),
  jsonOption('Print what passed as one JSON object, on standard error where frames go to standard output.'),
  helpOption(),
];

/** A time that needs no trace to be understood. */
function dayBound(text: string): TimeBound {
  const bound = parseTimeBound(text);
  if (bound.kind === 'ofDay') throw usageError(`"${text}" is a time of which day?`);
  return bound;
}
