/** Options that every command of our own has. */
import { type Option, parseFactor } from './options.ts';

/** The heading of a command's options in its help. */
export const section = 'Options';

/** `--json`, `-j`; `help` says what is printed. */
export function jsonOption<S extends { json: boolean }>(help: string): Option<S> {
  return {
    name: 'json',
    short: 'j',
    section,
    help,
    set: (settings, on) => {
      settings.json = on;
    },
  };
}

/** `--help`, `-h`. */
export function helpOption<S extends { help: boolean }>(): Option<S> {
  return {
    name: 'help',
    short: 'h',
    section,
    help: 'Show this help.',
    set: (settings, on) => {
      settings.help = on;
    },
  };
}

/** `--control=PATH`, of commands that can be watched and steered; `help` says for what. */
export function controlOption<S extends { control: string | undefined }>(help: string): Option<S> {
  return {
    name: 'control',
    argument: 'PATH',
    section,
    help,
    set: (settings, value) => {
      settings.control = value;
    },
  };
}

/** `--speed=FACTOR`: pauses that were recorded are kept; `help` says of what, `fallback` what is done without it. */
export function speedOption<S extends { speed: number | undefined }>(
  help: string,
  fallback: string,
): Option<S> {
  return {
    name: 'speed',
    argument: 'FACTOR',
    section,
    help,
    default: fallback,
    set: (settings, value) => {
      settings.speed = parseFactor(value);
    },
  };
}
