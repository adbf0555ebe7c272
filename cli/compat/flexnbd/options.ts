/** flexnbd's options, each once; a mode names those that it has. Source: nbd-migration, C.1. */
import type { Option } from '../../options.ts';

/** What a command line says. Numbers stay text: who uses them says what is wrong with them in its own words. */
export interface FlexnbdSettings {
  help: boolean;
  /** The last of `--verbose` and `--quiet`. */
  verbosity: 'quiet' | 'usual' | 'verbose';
  addr?: string;
  port?: string;
  file?: string;
  sock?: string;
  bind?: string;
  from?: string;
  size?: string;
  'max-speed'?: string;
  'conn-addr'?: string;
  'conn-port'?: string;
  cache?: string;
  'default-deny': boolean;
  killswitch: boolean;
  unlink: boolean;
  'any-disconnect': boolean;
}

type TextName = Exclude<
  keyof FlexnbdSettings,
  'help' | 'verbosity' | 'default-deny' | 'killswitch' | 'unlink' | 'any-disconnect'
>;
type SwitchName = 'default-deny' | 'killswitch' | 'unlink' | 'any-disconnect';

const section = 'Options';

function text(name: TextName, short: string, argument: string, help: string): Option<FlexnbdSettings> {
  return {
    name,
    short,
    argument,
    section,
    help,
    set: (settings, value) => {
      settings[name] = value;
    },
  };
}

function flag(name: SwitchName, short: string | undefined, help: string): Option<FlexnbdSettings> {
  return {
    name,
    ...(short === undefined ? {} : { short }),
    section,
    help,
    set: (settings, on) => {
      settings[name] = on;
    },
  };
}

/** Every option there is, by name; the same in every mode that has it. */
export const options = {
  addr: text(
    'addr',
    'l',
    'ADDR',
    'The address to listen on, or to speak to; numeric, 0 for every IPv4 address.',
  ),
  port: text('port', 'p', 'PORT', 'The port to listen on, or to speak to.'),
  file: text('file', 'f', 'FILE', 'The file to serve.'),
  sock: text('sock', 's', 'SOCK', 'The path of the control socket.'),
  bind: text('bind', 'b', 'ADDR', 'The address of this host to connect from.'),
  from: text('from', 'F', 'OFFSET', 'The byte to begin with.'),
  size: text(
    'size',
    'S',
    'SIZE',
    'How many bytes; write also takes the name of a file here and sends all of it.',
  ),
  maxSpeed: text('max-speed', 'm', 'BPS', 'The most bytes a second that the migration may send.'),
  connAddr: text('conn-addr', 'C', 'ADDR', 'The address of the server to speak to.'),
  connPort: text('conn-port', 'P', 'PORT', 'The port of the server to speak to.'),
  cache: text(
    'cache',
    'c',
    'BYTES',
    'Read ahead, and keep so many bytes; 4096 where no number is glued to it.',
  ),
  defaultDeny: flag('default-deny', 'd', 'With an empty access list let nobody in.'),
  killswitch: flag('killswitch', 'k', 'Cut a client whose request takes longer than 120 s.'),
  unlink: flag('unlink', 'u', 'Remove the file once everything is sent, before the other side takes over.'),
  anyDisconnect: flag(
    'any-disconnect',
    undefined,
    'Take any disconnect request for the end of the migration, as flexnbd does, whatever was written before it.',
  ),
  verbose: {
    name: 'verbose',
    short: 'v',
    section,
    help: 'Say more.',
    set: (settings) => {
      settings.verbosity = 'verbose';
    },
  },
  quiet: {
    name: 'quiet',
    short: 'q',
    section,
    help: 'Say only what is fatal.',
    set: (settings) => {
      settings.verbosity = 'quiet';
    },
  },
  help: {
    name: 'help',
    short: 'h',
    section,
    help: 'Show this help.',
    set: (settings) => {
      settings.help = true;
    },
  },
} as const satisfies Record<string, Option<FlexnbdSettings>>;

export const noSettings = (): FlexnbdSettings => ({
  help: false,
  verbosity: 'usual',
  'default-deny': false,
  killswitch: false,
  unlink: false,
  'any-disconnect': false,
});
