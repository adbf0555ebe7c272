/** The options of `millrace nbd serve`. */
import { limits } from '../../lib/index.ts';
import { controlOption, helpOption, section } from '../common-options.ts';
import { type Option, parseWhole, parseWord } from '../options.ts';
import { accessOptions, portOption, verboseOption } from './common-options.ts';
import { noKeys, type TlsKeySettings, type TlsMode, tlsKeyOptions } from './tls-options.ts';

export interface ServeSettings extends TlsKeySettings {
  help: boolean;
  addresses: string[];
  port: number;
  sockets: string[];
  oldstyle: boolean;
  readOnly: boolean;
  allowed: string[];
  defaultDeny: boolean;
  killswitchS: number | undefined;
  sync: 'write' | 'flush' | undefined;
  maxClients: number;
  tls: TlsMode | undefined;
  control: string | undefined;
  verbosity: number;
  logFormat: 'text' | 'json';
}

export const serveDefaults = (): ServeSettings => ({
  help: false,
  addresses: [],
  port: 10_809,
  sockets: [],
  oldstyle: false,
  readOnly: false,
  allowed: [],
  defaultDeny: false,
  killswitchS: undefined,
  sync: undefined,
  maxClients: limits.nbdClients,
  tls: undefined,
  ...noKeys,
  control: undefined,
  verbosity: 0,
  logFormat: 'text',
});

const syncs = ['write', 'flush'] as const;
const tlsModes = ['off', 'on', 'require'] as const;

export const serveOptionTable: readonly Option<ServeSettings>[] = [
  {
    name: 'address',
    short: 'a',
    argument: 'ADDRESS',
    section: 'Where',
    help: 'Listen on this address or host name. Repeatable. One that this host does not have yet is tried again every second.',
    default: 'all, unless a Unix socket is named',
    set: (settings, value) => void settings.addresses.push(value),
  },
  portOption(),
  {
    name: 'unix',
    short: 'u',
    argument: 'PATH',
    section: 'Where',
    help: 'Listen on a Unix socket. Repeatable.',
    set: (settings, value) => void settings.sockets.push(value),
  },
  {
    name: 'read-only',
    short: 'r',
    section: 'What',
    help: 'Refuse all changes. Several programs may serve an image read-only at a time.',
    set: (settings, on) => {
      settings.readOnly = on;
    },
  },
  {
    name: 'sync',
    argument: 'WHEN',
    section: 'What',
    help: 'What makes changes durable: flush = the requests for it (FLUSH, FUA), write = every change, before it is answered.',
    default: 'flush; write with --oldstyle',
    set: (settings, value) => {
      settings.sync = parseWord(value, syncs);
    },
  },
  {
    name: 'oldstyle',
    section: 'What',
    help: 'Speak the first protocol, as flexnbd does: one export, no negotiation.',
    set: (settings, on) => {
      settings.oldstyle = on;
    },
  },
  ...accessOptions<ServeSettings>('To whom'),
  {
    name: 'max-clients',
    argument: 'N',
    section: 'To whom',
    help: 'Connections at a time; one more is closed at once.',
    default: String(limits.nbdClients),
    set: (settings, value) => {
      settings.maxClients = parseWhole(value, 1, 65_535, 'clients');
    },
  },
  {
    name: 'killswitch',
    short: 'k',
    argument: 'SECONDS',
    section: 'To whom',
    help: 'Cut a client of which a request is not finished after so long (flexnbd: 120). Who asks for nothing is never cut.',
    set: (settings, value) => {
      settings.killswitchS = parseWhole(value, 1, 86_400, 'seconds');
    },
  },
  {
    name: 'tls',
    argument: 'MODE',
    section: 'Encryption',
    help: 'off, on = for clients that ask for it, require = for all.',
    default: 'off; require with --tls-certificates or --tls-psk',
    set: (settings, value) => {
      settings.tls = parseWord(value, tlsModes);
    },
  },
  ...tlsKeyOptions<ServeSettings>(),
  {
    ...controlOption(
      'Make a control socket at PATH, once the server listens; for millrace ctl: status, acl, grow, stop and others.',
    ),
    short: 's',
  },
  verboseOption(),
  {
    name: 'log-format',
    argument: 'FORMAT',
    section,
    help: 'text or json.',
    default: 'text',
    set: (settings, value) => {
      settings.logFormat = parseWord(value, ['text', 'json']);
    },
  },
  helpOption(),
];
