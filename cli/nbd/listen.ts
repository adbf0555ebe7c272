/** `millrace nbd listen`: takes one disk in, and may serve it from then on. */
import { resolve } from 'node:path';
import { loadNbd, type MigrationListener } from '../../lib/index.ts';
import { controlOption, helpOption, jsonOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import type { Served } from '../control-table.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseBytes, parseOptions, parseWhole } from '../options.ts';
import { showProgress } from '../progress.ts';
import { readiness } from '../relay/readiness.ts';
import { logLevel, runService } from '../service.ts';
import { usageError } from '../usage.ts';
import { accessOptions, addressOption, portOption, verboseOption } from './common-options.ts';
import { aclCommand } from './control.ts';
import { noKeys, type TlsKeySettings, tlsKeyOptions, tlsOf } from './tls-options.ts';

interface ListenSettings extends TlsKeySettings {
  help: boolean;
  json: boolean;
  address: string;
  port: number;
  createBytes: number | undefined;
  allowed: string[];
  defaultDeny: boolean;
  anyDisconnect: boolean;
  plain: boolean;
  connections: number | undefined;
  thenServe: { host: string; port: number } | undefined;
  servedAt: string | undefined;
  control: string | undefined;
  verbosity: number;
}

const optionTable: readonly Option<ListenSettings>[] = [
  addressOption(
    'Listen on this address. One that this host does not have yet is tried again every second.',
    'all',
  ),
  portOption(),
  {
    name: 'create',
    argument: 'BYTES',
    section: 'What',
    help: 'Make the image, or cut or extend it, to so many bytes first; it must have the size of the disk that comes.',
    set: (settings, value) => {
      settings.createBytes = parseBytes(value);
    },
  },
  {
    name: 'any-disconnect',
    section: 'What',
    help: 'Take any disconnect request for the end, as flexnbd does. Without this all of the disk must have been written before it.',
    set: (settings, on) => {
      settings.anyDisconnect = on;
    },
  },
  {
    name: 'plain',
    section: 'What',
    help: 'Be no more than flexnbd is, to a millrace source too.',
    set: (settings, on) => {
      settings.plain = on;
    },
  },
  {
    name: 'connections',
    argument: 'N',
    section: 'What',
    help: 'Connections that one millrace source may open.',
    default: '2',
    set: (settings, value) => {
      settings.connections = parseWhole(value, 1, 16, 'connections');
    },
  },
  ...accessOptions<ListenSettings>('From whom'),
  ...tlsKeyOptions<ListenSettings>(),
  {
    name: 'then-serve',
    argument: 'ADDRESS:PORT',
    section: 'Then',
    help: 'Serve the disk at this address once it is here, until a signal. An address that this host does not have yet is tried again every second; one that somebody else has is an error.',
    set: (settings, value) => {
      const [, host = '', port = ''] = /^\[?([^\]]+)\]?:(\d+)$/.exec(value) ?? [];
      if (host === '') throw usageError(`"${value}" is no ADDRESS:PORT`);
      settings.thenServe = { host, port: parseWhole(port, 0, 65_535, '') };
    },
  },
  {
    name: 'served-at',
    argument: 'URI',
    section: 'Then',
    help: "Where the disk will be served, for the source's log and control socket.",
    default: 'that of --then-serve',
    set: (settings, value) => {
      settings.servedAt = value;
    },
  },
  {
    ...controlOption(
      'Make a control socket at PATH, once it listens; for millrace ctl: status, acl, stop and others.',
    ),
    short: 's',
  },
  jsonOption('Print events as one JSON object a line: listening, received, serving.'),
  verboseOption(),
  helpOption(),
];

/** See the file's head. */
export const listen: Command = {
  name: 'listen',
  summary: 'take in a disk that another host moves here',
  help: () =>
    `usage: millrace nbd listen [OPTION]... IMAGE\n\nWaits for millrace nbd mirror or flexnbd mirror to send a disk into IMAGE. Until all of it is here a file\nIMAGE.INCOMPLETE says so; status 0 means that this copy counts from now on.\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: ListenSettings = {
    help: false,
    json: false,
    address: '::',
    port: 10_809,
    createBytes: undefined,
    allowed: [],
    defaultDeny: false,
    anyDisconnect: false,
    plain: false,
    connections: undefined,
    ...noKeys,
    thenServe: undefined,
    servedAt: undefined,
    control: undefined,
    verbosity: 0,
  };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(listen.help());
    return 0;
  }
  const [path, ...more] = operands;
  if (path === undefined || more.length > 0) throw usageError('one IMAGE is needed');
  return await listenFor(context, settings, resolve(context.cwd, path));
}

async function listenFor(context: Context, settings: ListenSettings, path: string): Promise<number> {
  const print = (event: string, facts: object): void => {
    if (settings.json) context.stdout.write(`${JSON.stringify({ event, atMs: Date.now(), ...facts })}\n`);
  };
  const level = logLevel('warn', settings.verbosity);
  return await runService(context, { level }, async ({ control, owns, signals }) => {
    const { AccessList, Image, MigrationListener, NbdServer } = await loadNbd();
    const stop = new AbortController();
    const stopped = signals.first.then(() => stop.abort(new Error('ended by a signal')));
    const { address, allowed, anyDisconnect, connections, createBytes, defaultDeny, plain, port } = settings;
    const image = new Image(path, createBytes === undefined ? {} : { createBytes });
    owns(() => image.close());
    const tls = await tlsOf(settings);
    const encrypted = tls === undefined ? {} : { tls };
    const servedAt = settings.servedAt ?? uriOf(settings.thenServe, tls !== undefined);
    const listener = new MigrationListener({
      image,
      listen: { host: address, port },
      access: new AccessList(allowed, { defaultDeny }),
      ...encrypted,
      anyDisconnect,
      plain,
      ...(connections === undefined ? {} : { connections }),
      ...(servedAt === undefined ? {} : { servedAt }),
    });
    owns(() => listener.close());
    await listener.start({ signal: stop.signal });
    await control(settings.control, listenerCommands(listener));
    readiness(context).ready();
    print('listening', { address: listener.address, sizeBytes: image.sizeBytes });
    await received(context, listener, stopped);
    if (!listener.hasControl) return 1;
    print('received', await listener.completed);
    await listener.close();
    if (settings.thenServe === undefined) return 0;
    const server = new NbdServer({
      listen: [settings.thenServe],
      exports: [{ name: '', image }],
      ...encrypted,
    });
    await server.start({ signal: stop.signal });
    print('serving', { address: server.addresses[0] });
    await stopped;
    await server.close();
    return 0;
  });
}

/** Waits for the disk, or the signal, and shows how far it is. */
async function received(
  context: Context,
  listener: MigrationListener,
  stopped: Promise<void>,
): Promise<void> {
  const progress = showProgress(context, () => ({
    bytes: listener.receivedBytes,
    totalBytes: listener.image.sizeBytes,
    text: listener.receivedBytes === 0 ? 'waiting' : 'receiving',
  }));
  try {
    await Promise.race([listener.completed, stopped]);
  } finally {
    progress.end();
  }
}

function listenerCommands(listener: MigrationListener): Readonly<Record<string, Served>> {
  return {
    status: {
      help: 'what has come, and from whom',
      answer: () => ({
        ...listener.server.status(),
        hasControl: listener.hasControl,
        receivedBytes: listener.receivedBytes,
        sizeBytes: listener.image.sizeBytes,
      }),
    },
    acl: aclCommand(listener.server),
  };
}

function uriOf(address: ListenSettings['thenServe'], isEncrypted: boolean): string | undefined {
  if (address === undefined) return undefined;
  const { host, port } = address;
  return `nbd${isEncrypted ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
