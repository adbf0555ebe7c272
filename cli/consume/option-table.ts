import { limits } from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import { type Option, parseBytes, parseWhole } from '../options.ts';
import { usageError } from '../usage.ts';

/** What the command line of `millrace consume` says. */
export interface ConsumeSettings {
  help: boolean;
  json: boolean;
  strict: boolean;
  to: string | undefined;
  controlUri: string | undefined;
  dataUri: string | undefined;
  session: string | undefined;
  hostname: string | undefined;
  liveTimerUs: number | undefined;
  bytesPerSecond: number | undefined;
  minor: number | undefined;
  mtuBytes: number | undefined;
  control: string | undefined;
  dialTimeoutMs: number;
  replyTimeoutMs: number;
  pendingTimeoutMs: number;
}

const mostMs = 86_400_000;

function milliseconds(
  name: string,
  key: 'dialTimeoutMs' | 'replyTimeoutMs' | 'pendingTimeoutMs',
  seconds: number,
  help: string,
): Option<ConsumeSettings> {
  return {
    name,
    argument: 'MS',
    section: 'Deadlines',
    help,
    default: String(seconds * 1000),
    set: (settings, value) => {
      settings[key] = parseWhole(value, 1, mostMs, 'ms');
    },
  };
}

function words(
  name: string,
  key: 'to' | 'controlUri' | 'dataUri' | 'session' | 'hostname' | 'control',
  row: { short?: string; argument: string; help: string },
): Option<ConsumeSettings> {
  return {
    name,
    section,
    ...row,
    set: (settings: ConsumeSettings, value: string) => {
      settings[key] = value;
    },
  };
}

/** The options of `millrace consume`. */
export const consumeOptionTable: readonly Option<ConsumeSettings>[] = [
  {
    name: 'mtu',
    argument: 'BYTES',
    section,
    help: 'Over UDP: bytes of one datagram on the link, headers of IP and UDP among them.',
    default: String(limits.mtuBytes),
    set: (settings, value) => {
      settings.mtuBytes = parseWhole(value, 128, 65_535, 'bytes');
    },
  },
  words('to', 'to', {
    short: 't',
    argument: 'URI',
    help: 'Where to: net://HOST[:CTRL[:DATA]][/PATH], net6://…, or a directory.',
  }),
  words('ctrl-url', 'controlUri', {
    short: 'C',
    argument: 'URI',
    help: 'The control connection apart, tcp://HOST[:PORT] or tcp6://…; with --data-url.',
  }),
  words('data-url', 'dataUri', {
    short: 'D',
    argument: 'URI',
    help: 'The data connection apart, tcp://HOST[:PORT], tcp6://…, or udp://HOST[:PORT] to a millrace relay; with --ctrl-url.',
  }),
  words('session', 'session', {
    short: 's',
    argument: 'NAME',
    help: 'Call the session so at the target, whatever the trace says.',
  }),
  words('hostname', 'hostname', {
    argument: 'NAME',
    help: 'The host that the trace comes from: it heads the output path at the target.',
  }),
  {
    name: 'live',
    argument: 'USEC',
    section,
    help: 'Make it a live session at the relay, with a live timer of so many microseconds.',
    set: (settings, value) => {
      settings.liveTimerUs = parseWhole(value, 1, 0xffff_ffff, 'us');
    },
  },
  {
    name: 'rate',
    argument: 'BYTES',
    section,
    help: 'Send no more than so many bytes a second, perhaps in k, M or G of 1024.',
    set: (settings, value) => {
      settings.bytesPerSecond = parseBytes(value);
      if (settings.bytesPerSecond === 0) throw usageError('at least one byte a second is needed');
    },
  },
  {
    name: 'minor',
    argument: 'N',
    section,
    help: 'Speak no higher minor of the relay protocol than this, 1 to 15.',
    set: (settings, value) => {
      settings.minor = parseWhole(value, 1, 15, '');
    },
  },
  {
    name: 'strict',
    section,
    help: 'Refuse what real peers are forgiven, such as a session that was never closed.',
    set: (settings, on) => {
      settings.strict = on;
    },
  },
  words('control', 'control', {
    argument: 'PATH',
    help: 'Make a control socket at PATH, for millrace ctl: status, set-uri, enable, disable, stop.',
  }),
  jsonOption('Print how it went as one JSON object.'),
  helpOption(),
  milliseconds('dial-timeout', 'dialTimeoutMs', limits.dialSeconds, 'To connect, name resolution included.'),
  milliseconds(
    'reply-timeout',
    'replyTimeoutMs',
    limits.replySeconds,
    'Without any answer while one is due, or without any byte taken while some wait.',
  ),
  milliseconds(
    'pending-timeout',
    'pendingTimeoutMs',
    limits.pendingSeconds,
    'At the end, while the relay reports that data is pending.',
  ),
];

/** Before the command line is read. */
export function consumeDefaults(): ConsumeSettings {
  return {
    help: false,
    json: false,
    strict: false,
    to: undefined,
    controlUri: undefined,
    dataUri: undefined,
    session: undefined,
    hostname: undefined,
    liveTimerUs: undefined,
    bytesPerSecond: undefined,
    minor: undefined,
    mtuBytes: undefined,
    control: undefined,
    dialTimeoutMs: limits.dialSeconds * 1000,
    replyTimeoutMs: limits.replySeconds * 1000,
    pendingTimeoutMs: limits.pendingSeconds * 1000,
  };
}
