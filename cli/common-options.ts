/** Options that every command of our own has. */
import type { Option } from './options.ts';

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
