import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  diskPair,
  loadPipe,
  type Moment,
  openLog,
  type PipeReport,
  pairs,
  parseUri,
  type RunningPipe,
  serveControl,
  sinkKinds,
  sourceKinds,
  splitEndpoints,
  type Uri,
} from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { copyDisks, isDiskCopy } from '../nbd/copy.ts';
import { applyOption, type Option, parseFactor, parseOptions } from '../options.ts';
import { bytesText, showProgress } from '../progress.ts';
import { watchSignals } from '../relay/stop-signals.ts';
import { usageError } from '../usage.ts';
import { parseTimeBound, rangeOf, type TimeBound } from '../view/time-bounds.ts';

interface PipeSettings {
  help: boolean;
  json: boolean;
  strict: boolean;
  follow: boolean;
  sessions: string[];
  streams: string[];
  begin: TimeBound | undefined;
  end: TimeBound | undefined;
  gmt: boolean;
  speed: number | undefined;
  control: string | undefined;
}

const optionTable: readonly Option<PipeSettings>[] = [
  {
    name: 'session',
    short: 's',
    argument: 'PATTERN',
    section,
    help: 'Only sessions of this name, or HOSTNAME/NAME; * and ? stand for any characters and for one. Repeatable.',
    set: (settings, value) => void settings.sessions.push(value),
  },
  {
    name: 'stream',
    argument: 'PATTERN',
    section,
    help: 'Only data streams of this name, such as channel0_*, or PATH/NAME. Metadata goes along. Repeatable.',
    set: (settings, value) => void settings.streams.push(value),
  },
  {
    name: 'begin',
    short: 'b',
    argument: 'TIME',
    section,
    help: 'Leave out packets that end before TIME: YYYY-MM-DD [hh:mm[:ss[.n]]], or seconds[.n] since 1970.',
    set: (settings, value) => {
      settings.begin = dayBound(value);
    },
  },
  {
    name: 'end',
    short: 'e',
    argument: 'TIME',
    section,
    help: 'Leave out packets that begin after TIME.',
    set: (settings, value) => {
      settings.end = dayBound(value);
    },
  },
  {
    name: 'gmt',
    section,
    help: 'Dates are in UTC, not in local time.',
    set: (settings, on) => {
      settings.gmt = on;
    },
  },
  {
    name: 'speed',
    argument: 'FACTOR',
    section,
    help: 'Keep the pauses of a frame log: 1 as they were when it was written, 2 twice as fast.',
    default: 'no pauses',
    set: (settings, value) => {
      settings.speed = parseFactor(value);
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
  {
    name: 'follow',
    section,
    help: 'Go on with a directory that a relay or a tracer is writing, until nobody does.',
    set: (settings, on) => {
      settings.follow = on;
    },
  },
  {
    name: 'control',
    argument: 'PATH',
    section,
    help: 'Make a control socket at PATH, for millrace ctl: status, stop.',
    set: (settings, value) => {
      settings.control = value;
    },
  },
  jsonOption('Print what passed as one JSON object, on standard error where frames go to standard output.'),
  helpOption(),
];

/** A time that needs no trace to be understood. */
function dayBound(text: string): TimeBound {
  const bound = parseTimeBound(text);
  if (bound.kind === 'ofDay') throw usageError(`"${text}" is a time of which day?`);
  return bound;
}

function nanosecondsOf(moment: Moment | undefined): bigint | undefined {
  return moment && BigInt(moment.seconds) * 1_000_000_000n + BigInt(moment.nanos);
}

/** Carries frames from one address to another. */
export const pipe: Command = {
  name: 'pipe',
  summary: 'carry a trace from any source into any sink',
  help,
  run,
};

function help(): string {
  const rows = (kinds: Readonly<Record<string, string>>) =>
    [...Object.values(kinds), diskPair.kind].map((text) => `  ${text}\n`).join('');
  const all = [...pairs, diskPair];
  const width = Math.max(...all.map(({ source, sink }) => `${source} ${sink}`.length));
  const useful = all.map(({ source, sink, use }) => `  ${`${source} ${sink}`.padEnd(width)}  ${use}\n`);
  return [
    'usage: millrace pipe [OPTION]... SOURCE SINK\n',
    '       millrace pipe DIR - | ssh HOST millrace pipe - SINK\n\n',
    `Sources:\n${rows(sourceKinds)}\nSinks:\n${rows(sinkKinds)}\nPairs:\n${useful.join('')}\n`,
    helpText(optionTable),
    '\nExit status: 0 all of it passed, 1 failed, or a part is missing, 2 wrong usage.\n',
  ].join('');
}

async function run(context: Context): Promise<number> {
  const settings: PipeSettings = {
    help: false,
    json: false,
    strict: false,
    follow: false,
    sessions: [],
    streams: [],
    begin: undefined,
    end: undefined,
    gmt: false,
    speed: undefined,
    control: undefined,
  };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(help());
    return 0;
  }
  const [source, sink, ...more] = operands;
  if (source === undefined || sink === undefined || more.length > 0)
    throw usageError('a SOURCE and a SINK are needed');
  const [from, to] = [parseUri(source, { listen: true }), parseUri(splitEndpoints(sink)[0] ?? '')];
  const { holdsFrameLog } = await loadPipe();
  const image = to.kind === 'path' ? fileOf(context, from) : undefined;
  if ((image !== undefined && !(await holdsFrameLog(image))) || isDiskCopy(from, to))
    return await copyDisks(context, from, to, settings.json);
  // What cannot be read, connections that are made again, directories that are taken.
  const log = openLog({ stream: context.stderr, format: 'text', level: 'warn' });
  try {
    return await carry(context, source, sink, settings);
  } finally {
    log.close();
  }
}

async function carry(
  context: Context,
  source: string,
  sink: string,
  settings: PipeSettings,
): Promise<number> {
  const { openPipe } = await loadPipe();
  const { sessions, streams, strict, follow, begin, end, gmt, speed } = settings;
  const span = rangeOf(begin, end, gmt, undefined);
  const [beginNs, endNs] = [nanosecondsOf(span.begin), nanosecondsOf(span.end)];
  const running = await openPipe({
    source,
    sink,
    sessions,
    streams,
    strict,
    follow,
    speed,
    listening: ({ control, data }) => {
      const places = [control, data].map(({ host, port }) => `${host}:${port}`);
      context.stderr.write(`millrace pipe: listening: control ${places[0]}, data ${places[1]}\n`);
    },
    stdin: () => context.stdin(),
    stdout: context.stdout,
    ...(beginNs !== undefined && { beginNs }),
    ...(endNs !== undefined && { endNs }),
  });
  const report = await watched(context, running, settings.control);
  const out = sink === '-' ? context.stderr : context.stdout;
  if (settings.json) out.write(`${asJson(report)}\n`);
  else context.stderr.write(asText(report));
  return report.outcome.kind === 'end' && report.missing.length === 0 ? 0 : 1;
}

/** The file or block device that an address names; undefined: none. */
function fileOf({ cwd }: Context, uri: Uri): string | undefined {
  if (uri.kind !== 'path') return undefined;
  const path = resolve(cwd, uri.path);
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true || found?.isBlockDevice() === true ? path : undefined;
}

/** Steers a pipe by signals and the control socket, and shows how far it is. */
async function watched(
  context: Context,
  running: RunningPipe,
  controlPath: string | undefined,
): Promise<PipeReport> {
  const signals = watchSignals(context);
  void signals.first.then(() => running.stop());
  void signals.second.then(() => running.abort());
  const control =
    controlPath === undefined
      ? undefined
      : await serveControl(controlPath, {
          status: () => running.passed,
          stop: () => {
            signals.stop();
            return { stopping: true };
          },
        }).catch((error: unknown) => {
          running.abort();
          throw error;
        });
  const progress = showProgress(context, () => {
    const { sessions, packets, bytes, lost } = running.passed;
    const losses = lost > 0 ? `, ${lost} lost` : '';
    return { bytes, text: `${sessions} sessions, ${packets} packets${losses}` };
  });
  try {
    return await running.done;
  } finally {
    progress.end();
    signals.forget();
    await control?.close();
  }
}

function asJson({ outcome, ...report }: PipeReport): string {
  const error =
    outcome.kind === 'error' ? { code: outcome.error.code, message: outcome.error.message } : undefined;
  const stage = outcome.kind === 'end' ? undefined : outcome.stage;
  return JSON.stringify({ outcome: outcome.kind, stage, error, ...report });
}

function asText(report: PipeReport): string {
  const { outcome, sessions, streams, packets, bytes, lost, missing, elapsedMs } = report;
  const lines = [
    `${sessions} sessions, ${streams} streams, ${packets} packets, ${bytesText(bytes)} in ${(elapsedMs / 1000).toFixed(1)} s`,
  ];
  if (lost > 0) lines.push(`${lost} packets are lost`);
  if (outcome.kind === 'error') lines.push(`${outcome.stage}: ${outcome.error.message}`);
  if (outcome.kind === 'abort') lines.push(`ended by ${outcome.stage} before its end`);
  return [...lines, ...missing].map((line) => `millrace pipe: ${line}\n`).join('');
}
