import { limits, loadCapture, parseUri, why } from '../../lib/index.ts';
import { controlOption, helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseBytes, parseOptions, parseWhole } from '../options.ts';
import { bytesText } from '../progress.ts';
import { runService, type Service } from '../service.ts';
import { usageError } from '../usage.ts';

interface CaptureSettings {
  help: boolean;
  json: boolean;
  segmentBytes: number | undefined;
  segments: number | undefined;
  control: string | undefined;
}

const optionTable: readonly Option<CaptureSettings>[] = [
  {
    name: 'segment-size',
    argument: 'BYTES',
    section,
    help: 'Begin another file (FILE.1, FILE.2, …) when one has so many bytes; k, M and G are multiples of 1024.',
    set: (settings, value) => {
      settings.segmentBytes = parseBytes(value);
    },
  },
  {
    name: 'segments',
    argument: 'COUNT',
    section,
    help: 'Keep the last COUNT files and delete older ones. What began in a deleted file cannot be replayed.',
    set: (settings, value) => {
      settings.segments = parseWhole(value, 1, 1_000_000, 'files');
    },
  },
  controlOption('Make a control socket at PATH, for millrace ctl: status, stop.'),
  jsonOption('Print what was recorded as one JSON object; first, one with the ports.'),
  helpOption(),
];

/** Stands between two programs and writes down what they say. */
export const capture: Command = {
  name: 'capture',
  summary: 'record what two programs say to each other',
  help,
  run,
};

function help(): string {
  return [
    'usage: millrace capture [OPTION]... FILE LISTEN SERVER [LISTEN SERVER]...\n\n',
    'Whoever connects to LISTEN is connected to SERVER; what both say goes into FILE,\n',
    'with times. LISTEN and SERVER are of one kind:\n\n',
    '  net://HOST[:CTRL[:DATA]]  producers and a relay\n',
    '  live://HOST[:PORT]        viewers and a relay\n',
    '  nbd://, nbd+unix://       disk clients and a disk server\n',
    '  tcp://HOST:PORT           any others\n\n',
    helpText(optionTable),
    '\nThe first SIGINT or SIGTERM lets open connections come to their end for a while,\nthe second cuts them. Exit status: 0 recorded, 1 failed, 2 wrong usage.\n',
  ].join('');
}

async function run(context: Context): Promise<number> {
  const settings: CaptureSettings = {
    help: false,
    json: false,
    segmentBytes: undefined,
    segments: undefined,
    control: undefined,
  };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(help());
    return 0;
  }
  const { segmentBytes, segments } = settings;
  if (segments !== undefined && segmentBytes === undefined)
    throw usageError('--segments needs --segment-size: when does a file end?');
  const [path, ...addresses] = operands;
  if (path === undefined || addresses.length === 0 || addresses.length % 2 !== 0)
    throw usageError('FILE, LISTEN and SERVER are needed');
  const uris = addresses.map((address, at) => parseUri(address, { listen: at % 2 === 0 }));

  const { createLogFile, Recorder, recordedPorts } = await loadCapture();
  const ports = uris.flatMap((uri, at) =>
    at % 2 === 0 ? recordedPorts(uri, uris[at + 1] as typeof uri) : [],
  );
  const openLog = () =>
    createLogFile(path, {
      content: 'conversation',
      ...(segmentBytes !== undefined && { segmentBytes }),
      ...(segments !== undefined && { segments }),
    });
  const recorder = new Recorder({ ports, openLog });
  const listening = await recorder.start();
  const { log } = recorder;
  const closed = new Promise<Error | undefined>((resolve) => {
    log.on('error', resolve).on('close', () => resolve(undefined));
  });
  const places = listening.map((address, at) => ({ role: ports[at]?.role ?? '', ...address }));
  context.stderr.write(`millrace capture: listening: ${places.map(placeText).join(', ')}\n`);
  if (settings.json) context.stdout.write(`${JSON.stringify({ listening: places })}\n`);

  const status = () => ({
    connections: recorder.connections,
    open: recorder.open,
    bytes: recorder.bytes,
    logBytes: log.sizeBytes,
  });
  const failure = await runService(context, {}, (service) =>
    recordUntilStopped(service, settings.control, { recorder, closed, status }),
  );
  log.end();
  const error = failure ?? (await closed);
  if (settings.json) context.stdout.write(`${JSON.stringify(status())}\n`);
  const { connections, bytes, logBytes } = status();
  context.stderr.write(
    `millrace capture: ${connections} connections, ${bytesText(bytes)} said, ${bytesText(logBytes)} in ${path}\n`,
  );
  if (error !== undefined) context.stderr.write(`millrace capture: ${why(error)}\n`);
  return error === undefined ? 0 : 1;
}

interface Recording {
  recorder: { finish(deadlineMs: number): Promise<void>; close(): Promise<void> };
  closed: Promise<Error | undefined>;
  status: () => { connections: number; open: number; bytes: number };
}

/** Records until a signal, a command or the failure of the log; resolves with that failure. */
async function recordUntilStopped(
  { control, owns, progress, signals }: Service,
  controlPath: string | undefined,
  { recorder, closed, status }: Recording,
): Promise<Error | undefined> {
  owns(() => recorder.close());
  progress(() => {
    const { connections, open, bytes } = status();
    return { bytes, text: `${connections} connections, ${open} open` };
  });
  await control(controlPath, { status: { help: 'what was recorded so far', answer: status } });
  const failure = await Promise.race([signals.first.then(() => undefined), closed]);
  const finished = recorder.finish(limits.closeSeconds * 1000);
  await Promise.race([finished, signals.second]);
  return failure;
}

function placeText(place: { role: string; path?: string; host?: string; port?: number }): string {
  return `${place.role} ${place.path ?? `${place.host}:${place.port}`}`;
}
