import {
  limits,
  loadCapture,
  type PlayReport,
  parseUri,
  type ReplayReport,
  type Uri,
} from '../../lib/index.ts';
import { helpOption, jsonOption, section, speedOption } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions, parseWhole } from '../options.ts';
import { bytesText } from '../progress.ts';
import { usageError } from '../usage.ts';
import { pipe } from './pipe.ts';

interface ReplaySettings {
  help: boolean;
  json: boolean;
  serve: boolean;
  speed: number | undefined;
  timeoutMs: number;
}

const optionTable: readonly Option<ReplaySettings>[] = [
  {
    name: 'serve',
    section,
    help: 'Be the server: listen on PEER and answer as recorded. Without it, be the clients: connect to PEER and ask as recorded.',
    set: (settings, on) => {
      settings.serve = on;
    },
  },
  speedOption(
    'Keep the recorded pauses: 1 as they were, 2 twice as fast.',
    'no pauses but for what the peer has to say',
  ),
  {
    name: 'timeout',
    argument: 'SECONDS',
    section,
    help: 'How long the peer may take for what it should say.',
    default: String(limits.replySeconds),
    set: (settings, value) => {
      settings.timeoutMs = parseWhole(value, 1, 86_400, 'seconds') * 1000;
    },
  },
  jsonOption('Print what was played as one JSON object; with --serve first one with the ports.'),
  helpOption(),
];

/** Plays one side of a recorded conversation to a live program. */
export const replay: Command = {
  name: 'replay',
  summary: 'play a recorded conversation to a live program',
  help,
  run,
};

function help(): string {
  return [
    'usage: millrace replay [OPTION]... FILE PEER\n\n',
    'Plays what millrace capture recorded, and names the first thing that the live\n',
    'program does otherwise. PEER says which connections of FILE are played:\n\n',
    '  net://HOST[:CTRL[:DATA]]  those of producers; handles and ids are put in place\n',
    '  live://HOST[:PORT]        those of viewers\n',
    '  nbd://, nbd+unix://       those of disk clients\n',
    '  tcp://HOST:PORT           those of others\n\n',
    'With --serve, a producer is answered command for command, all others byte for\nbyte.\n',
    'A log of frames is played into any sink of millrace pipe.\n\n',
    helpText(optionTable),
    '\nExit status: 0 as recorded, 1 a difference or a failure, 2 wrong usage.\n',
  ].join('');
}

async function run(context: Context): Promise<number> {
  const settings: ReplaySettings = {
    help: false,
    json: false,
    serve: false,
    speed: undefined,
    timeoutMs: limits.replySeconds * 1000,
  };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(help());
    return 0;
  }
  const [path, peer, ...more] = operands;
  if (path === undefined || peer === undefined || more.length > 0)
    throw usageError('a FILE and a PEER are needed');
  const { contentOf } = await loadCapture();
  if ((await contentOf(path)) === 'frames') {
    if (settings.serve) throw usageError(`${path} holds frames, which have no server's side`);
    const options = [
      ...(settings.json ? ['--json'] : []),
      ...(settings.speed ? [`--speed=${settings.speed}`] : []),
    ];
    return pipe.run({ ...context, argv: [...options, `capture:${path}`, peer] });
  }
  const uri = parseUri(peer, { listen: settings.serve });
  const interrupted = new AbortController();
  const forget = (['SIGINT', 'SIGTERM'] as const).map((name) =>
    context.onSignal(name, () => interrupted.abort(new Error(`ended by ${name}`))),
  );
  try {
    const report = await played(context, settings, path, uri, interrupted.signal);
    const { connections, elapsedMs } = report;
    const bytes = 'sentBytes' in report ? report.sentBytes : report.controlBytes + report.dataBytes;
    context.stderr.write(
      `millrace replay: ${connections} connections, ${bytesText(bytes)} said in ${(elapsedMs / 1000).toFixed(1)} s, all as recorded\n`,
    );
    if (settings.json) context.stdout.write(`${JSON.stringify(report)}\n`);
    return 0;
  } finally {
    for (const each of forget) each();
  }
}

async function played(
  context: Context,
  { serve, speed, timeoutMs, json }: ReplaySettings,
  path: string,
  uri: Uri,
  signal: AbortSignal,
): Promise<PlayReport | ReplayReport> {
  const { listenPortsOf, play, portsOf, replay: replayProducers } = await loadCapture();
  const pace = speed === undefined ? {} : { speed };
  const ports = serve ? listenPortsOf(uri) : portsOf(uri);
  const { control, data } = ports;
  if (!serve && control !== undefined && data !== undefined)
    return replayProducers({ path, control, data, replyTimeoutMs: timeoutMs, signal, ...pace });
  return play({
    path,
    side: serve ? 'server' : 'client',
    ports,
    timeoutMs,
    signal,
    ...pace,
    onListening(listening) {
      const places = Object.entries(listening).map(([role, address]) => ({ role, ...address }));
      context.stderr.write(
        `millrace replay: listening: ${places.map((place) => Object.values(place).join(' ')).join(', ')}\n`,
      );
      if (json) context.stdout.write(`${JSON.stringify({ listening: places })}\n`);
    },
  });
}
