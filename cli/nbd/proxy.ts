/** `millrace nbd proxy`: a client behind it does not notice that its server was away. */
import { resolve } from 'node:path';
import { loadNbd, parseUri } from '../../lib/index.ts';
import { controlOption, helpOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseBytes, parseOptions, parseWhole } from '../options.ts';
import { readiness } from '../relay/readiness.ts';
import { logLevel, runService } from '../service.ts';
import { usageError } from '../usage.ts';
import { addressOption, portOption, verboseOption } from './common-options.ts';

interface ProxySettings {
  help: boolean;
  address: string;
  port: number;
  unix: string | undefined;
  bind: string | undefined;
  cacheBytes: number;
  silenceS: number;
  retryMs: number;
  control: string | undefined;
  verbosity: number;
}

const optionTable: readonly Option<ProxySettings>[] = [
  addressOption('Listen on this address.', '127.0.0.1'),
  portOption(),
  {
    name: 'unix',
    short: 'u',
    argument: 'PATH',
    section: 'Where',
    help: 'Listen on a Unix socket instead.',
    set: (settings, value) => {
      settings.unix = value;
    },
  },
  {
    name: 'bind',
    argument: 'ADDRESS',
    section: 'Server',
    help: 'The address of this host to connect from.',
    set: (settings, value) => {
      settings.bind = value;
    },
  },
  {
    name: 'silence',
    argument: 'SECONDS',
    section: 'Server',
    help: 'Give a connection up when the server is silent for so long in one step of a request.',
    default: '30',
    set: (settings, value) => {
      settings.silenceS = parseWhole(value, 1, 86_400, 'seconds');
    },
  },
  {
    name: 'retry',
    argument: 'MS',
    section: 'Server',
    help: 'How long to wait between two attempts to connect anew.',
    default: '3000',
    set: (settings, value) => {
      settings.retryMs = parseWhole(value, 1, 3_600_000, 'ms');
    },
  },
  {
    name: 'cache',
    short: 'c',
    argument: 'BYTES',
    section: 'Server',
    help: 'Read ahead: double a read of at most so many bytes, and keep the second half for the next one.',
    default: '0, nothing is read ahead',
    set: (settings, value) => {
      settings.cacheBytes = parseBytes(value);
    },
  },
  {
    ...controlOption('Make a control socket at PATH; for millrace ctl: status, stop and others.'),
    short: 's',
  },
  verboseOption(),
  helpOption(),
];

/** See the file's head. */
export const proxy: Command = {
  name: 'proxy',
  summary: 'stand between a client and a server that may go away for a while',
  help: () =>
    `usage: millrace nbd proxy [OPTION]... URI\n\nURI is the address of a disk (nbd://, nbds://, nbd+unix://). It must be reachable at the start; lost later, it is\nconnected anew for as long as it takes, and the request that was not answered is sent again. One client at a time, in\noldstyle, as flexnbd-proxy.\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: ProxySettings = {
    help: false,
    address: '127.0.0.1',
    port: 10_809,
    unix: undefined,
    bind: undefined,
    cacheBytes: 0,
    silenceS: 30,
    retryMs: 3000,
    control: undefined,
    verbosity: 0,
  };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(proxy.help());
    return 0;
  }
  const [text, ...more] = operands;
  if (text === undefined || more.length > 0) throw usageError('one URI is needed');
  const uri = parseUri(text);
  if (uri.kind !== 'nbd') throw usageError(`${text} is no address of a disk`);
  const level = logLevel('warn', settings.verbosity);
  return await runService(context, { level }, async ({ control, owns, signals }) => {
    const { clientOptionsOf, NbdProxy } = await loadNbd();
    const { address, port, unix, bind, cacheBytes, silenceS, retryMs } = settings;
    const running = await NbdProxy.start({
      listen: unix === undefined ? { host: address, port } : { path: resolve(context.cwd, unix) },
      upstream: { ...clientOptionsOf(uri), ...(bind === undefined ? {} : { localAddress: bind }) },
      cacheBytes,
      silenceMs: silenceS * 1000,
      retryMs,
    });
    owns(() => running.close());
    await control(settings.control, {
      status: { help: 'the server, the clients and what was done', answer: () => running.status() },
    });
    readiness(context).ready();
    await signals.first;
    return 0;
  });
}
