/** Every option of `millrace relay`: lttng-relayd's own, later releases' and ours. Source: relay-behaviour, "Options". */
import { isAbsolute, resolve } from 'node:path';
import { defaultPorts } from '../../lib/index.ts';
import { type Option, parseBytes, parseWhole, parseWord } from '../options.ts';
import { usageError } from '../usage.ts';
import { forwardOptionTable } from './forward-options.ts';
import { parseListenUrl } from './listen-url.ts';
import { descriptorLimit, type RelaySettings } from './settings.ts';

const daemon = 'Daemon';
const output = 'Output';
const ports = 'Ports';
const storage = 'Disk';
const watching = 'Log and control';
const information = 'Program information';

/** Stores a value as it is given. */
function put<K extends keyof RelaySettings>(key: K) {
  return (settings: RelaySettings, value: RelaySettings[K]): void => {
    settings[key] = value;
  };
}

/** The first thing asked for counts. */
function ask(settings: RelaySettings, what: NonNullable<RelaySettings['instead']>): void {
  settings.instead ??= what;
}

export const relayOptionTable: readonly Option<RelaySettings>[] = [
  {
    name: 'background',
    short: 'b',
    section: daemon,
    help: 'Run as a daemon, but keep standard output and error. The command ends when the daemon listens.',
    set: put('background'),
  },
  {
    name: 'config',
    short: 'f',
    argument: 'PATH',
    section: daemon,
    inFiles: false,
    help: 'Read the configuration file PATH after the usual ones.',
    set: (settings, value) => {
      settings.configPath = resolve(settings.cwd, value);
    },
  },
  {
    name: 'daemonize',
    short: 'd',
    section: daemon,
    help: 'Run as a daemon, with standard input, output and error closed. The command ends when the daemon listens.',
    set: put('daemonize'),
  },
  {
    name: 'disallow-clear',
    short: 'x',
    section: daemon,
    help: 'Refuse to clear recording sessions. LTTNG_RELAYD_DISALLOW_CLEAR says the same.',
    set: put('disallowClear'),
  },
  {
    name: 'fd-pool-size',
    argument: 'SIZE',
    section: daemon,
    help: 'Hold at most SIZE file descriptors open, 100 or more.',
    default: 'the limit of the process (ulimit -n)',
    set: (settings, value) => {
      settings.fdPoolSize = parseWhole(value, 100, descriptorLimit(), 'descriptors');
    },
  },
  {
    name: 'group',
    short: 'g',
    argument: 'GROUP',
    section: daemon,
    help: 'Let GROUP ask on the health socket, for a relay that runs as root.',
    default: 'tracing',
    set: put('group'),
  },
  {
    name: 'pid-file',
    short: 'P',
    argument: 'PATH',
    section: daemon,
    help: 'Write the process id to PATH once the relay listens; the file goes when the relay ends.',
    set: (settings, value) => {
      settings.pidFilePath = resolve(settings.cwd, value);
    },
  },
  {
    name: 'sig-parent',
    short: 'S',
    section: daemon,
    help: 'Send SIGUSR1 to the parent process once the relay listens.',
    set: put('sigParent'),
  },
  {
    name: 'working-directory',
    short: 'w',
    argument: 'DIR',
    section: daemon,
    help: 'Change to DIR. LTTNG_RELAYD_WORKING_DIRECTORY says the same.',
    default: '/ as a daemon, else unchanged',
    set: (settings, value) => {
      settings.workingDirectory = resolve(settings.cwd, value);
    },
  },
  {
    name: 'output',
    short: 'o',
    argument: 'DIR',
    section: output,
    help: 'Write traces below DIR, an absolute path.',
    default: '$LTTNG_HOME/lttng-traces ($LTTNG_HOME defaults to $HOME)',
    set: (settings, value) => {
      if (!isAbsolute(value)) throw usageError(`"${value}" is no absolute path`);
      settings.outputPath = value;
    },
  },
  {
    name: 'group-output-by-host',
    short: 'p',
    section: output,
    family: 'group-output-by',
    help: 'Put traces into folders by host name, then session. This is the default.',
    set: (settings, on) => {
      settings.groupOutputBy = on ? 'host' : 'session';
    },
  },
  {
    name: 'group-output-by-session',
    short: 's',
    section: output,
    family: 'group-output-by',
    help: 'Put traces into folders by session name, then host.',
    set: (settings, on) => {
      settings.groupOutputBy = on ? 'session' : 'host';
    },
  },
  {
    name: 'control-port',
    short: 'C',
    argument: 'URL',
    section: ports,
    help: 'Listen for control connections on URL.',
    default: 'tcp://0.0.0.0:5342',
    set: (settings, value) => {
      settings.control = parseListenUrl(value, defaultPorts.control);
    },
  },
  {
    name: 'data-port',
    short: 'D',
    argument: 'URL',
    section: ports,
    help: 'Listen for trace data on URL.',
    default: 'tcp://0.0.0.0:5343',
    set: (settings, value) => {
      settings.data = parseListenUrl(value, defaultPorts.data);
    },
  },
  {
    name: 'live-port',
    short: 'L',
    argument: 'URL',
    section: ports,
    help: 'Listen for live readers on URL.',
    default: 'tcp://localhost:5344',
    set: (settings, value) => {
      settings.live = parseListenUrl(value, defaultPorts.live);
    },
  },
  {
    name: 'udp-port',
    argument: 'URL',
    section: ports,
    help: "Listen on URL for trace data that millrace's network consumer sends as datagrams, such as udp://0.0.0.0:5343. What is lost on the way is counted, and marked in the index.",
    default: 'none',
    set: (settings, value) => {
      settings.udp = parseListenUrl(value, defaultPorts.data, 'udp');
    },
  },
  {
    name: 'dynamic-port-allocation',
    section: ports,
    help: 'Write the ports to control.port, data.port and live.port in the run folder, for URLs with port 0.',
    set: put('dynamicPorts'),
  },
  {
    name: 'on-chunk',
    argument: 'COMMAND',
    section: output,
    help: 'Run COMMAND through sh for each trace chunk that is complete, with MILLRACE_CHUNK_PATH, MILLRACE_CHUNK_ID, MILLRACE_SESSION and MILLRACE_HOSTNAME in its environment.',
    set: put('chunkCommand'),
  },
  {
    name: 'sync',
    argument: 'WHEN',
    section: storage,
    help: 'When a packet is told as stored: none, once it is written; sync, once the next sync point made it durable; packet, each made durable at once.',
    default: 'none',
    set: (settings, value) => {
      settings.durability = parseWord(value, ['none', 'sync', 'packet']);
    },
  },
  {
    name: 'sync-interval',
    argument: 'MS',
    section: storage,
    help: 'Milliseconds between the sync points of --sync=sync.',
    default: '1000',
    set: (settings, value) => {
      settings.syncIntervalMs = parseWhole(value, 1, 86_400_000, 'ms');
    },
  },
  {
    name: 'keep-free',
    argument: 'BYTES',
    section: storage,
    help: 'Keep so many bytes of the file system free for metadata and indexes; k, M and G are multiples of 1024. When nothing else is left, packets wait and their producers are held back until there is room. 0: keep nothing, lose what cannot be written.',
    default: '4M',
    set: (settings, value) => {
      settings.keepFreeBytes = parseBytes(value);
    },
  },
  ...forwardOptionTable,
  {
    name: 'verbose',
    short: 'v',
    section: watching,
    help: 'Tell each command; twice, each packet. Without it the log has life cycle and trouble.',
    set: (settings) => {
      settings.verbosity++;
    },
    setLevel: (settings, level) => {
      settings.verbosity = level;
    },
  },
  {
    name: 'log-format',
    argument: 'FORMAT',
    section: watching,
    help: 'Lines of the log on standard error: text, or json, one object a line.',
    default: 'text',
    set: (settings, value) => {
      settings.logFormat = parseWord(value, ['text', 'json']);
    },
  },
  {
    name: 'control',
    argument: 'PATH',
    section: watching,
    help: 'Make the control socket at PATH, for millrace status and millrace ctl.',
    default: 'millrace-PID.sock in the run folder, where that can be made',
    set: (settings, value) => {
      settings.controlSocketPath = resolve(settings.cwd, value);
    },
  },
  {
    name: 'help',
    short: 'h',
    section: information,
    inFiles: false,
    help: 'Show this help.',
    set: (settings) => ask(settings, 'help'),
  },
  {
    name: 'list-options',
    section: information,
    inFiles: false,
    help: 'List the options, one a line.',
    set: (settings) => ask(settings, 'list-options'),
  },
  {
    name: 'version',
    short: 'V',
    section: information,
    inFiles: false,
    help: 'Show the version.',
    set: (settings) => ask(settings, 'version'),
  },
];
