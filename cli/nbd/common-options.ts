/** Options that the disk commands which listen have in common, and how much they log. */
import { section } from '../common-options.ts';
import { type Option, parseWhole } from '../options.ts';

/** `--port=PORT`, `-p`. */
export function portOption<S extends { port: number }>(): Option<S> {
  return {
    name: 'port',
    short: 'p',
    argument: 'PORT',
    section: 'Where',
    help: 'TCP port; 0 is chosen by the system.',
    default: '10809',
    set: (settings, value) => {
      settings.port = parseWhole(value, 0, 65_535, '');
    },
  };
}

/** An IPv6 address may stand in brackets. */
export function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/** `--address=ADDRESS`, `-a`, of a command that listens on one; an IPv6 address may stand in brackets. */
export function addressOption<S extends { address: string }>(help: string, fallback: string): Option<S> {
  return {
    name: 'address',
    short: 'a',
    argument: 'ADDRESS',
    section: 'Where',
    help,
    default: fallback,
    set: (settings, value) => {
      settings.address = unbracketed(value);
    },
  };
}

/** `--allow` and `--default-deny`: the access list. `heading`: of the part of the help in which they stand. */
export function accessOptions<S extends { allowed: string[]; defaultDeny: boolean }>(
  heading: string,
): [Option<S>, Option<S>] {
  return [
    {
      name: 'allow',
      short: 'A',
      argument: 'ADDRESS[/BITS]',
      section: heading,
      help: 'Let in only who matches one of these. Repeatable.',
      set: (settings, value) => void settings.allowed.push(value),
    },
    {
      name: 'default-deny',
      short: 'd',
      section: heading,
      help: 'Let nobody in while the access list is empty.',
      set: (settings, on) => {
        settings.defaultDeny = on;
      },
    },
  ];
}

/** `--verbose`, `-v`. */
export function verboseOption<S extends { verbosity: number }>(): Option<S> {
  return {
    name: 'verbose',
    short: 'v',
    section,
    help: 'Log more; twice, still more.',
    set: (settings) => {
      settings.verbosity += 1;
    },
  };
}
