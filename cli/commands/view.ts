import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { type LiveViewOptions, loadViewer } from '../../lib/index.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';

import { applyOption, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';
import { toJson } from '../verify/format.ts';
import { isLive, viewComing } from '../view/coming.ts';
import { filtersOf } from '../view/filters.ts';
import { viewOptionTable } from '../view/option-table.ts';
import { viewFrames } from '../view/raw.ts';
import { fieldsOf, namesOf, type ViewSettings, viewDefaults } from '../view/settings.ts';
import { formatStats } from '../view/stats-text.ts';
import { isColorful } from '../view/terminal.ts';
import { rangeOf } from '../view/time-bounds.ts';

/** Events of traces, as babeltrace2 prints them. */
export const view: Command = {
  name: 'view',
  summary: 'print the events of traces, as babeltrace2 does',
  help: () =>
    `usage: millrace view [OPTION]... SOURCE...\n\n${helpText(viewOptionTable)}\nSOURCE: directories that hold traces, at any depth; or one of live://HOST[:PORT]/host/HOSTNAME/SESSION, capture:FILE and - (a\nframe log from standard input).\nExit status: 0 done, 1 failed, 2 wrong usage.\n`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings = viewDefaults();
  const { given, operands } = parseOptions(viewOptionTable, context.argv);
  for (const each of given) applyOption(each, settings);
  if (settings.help) {
    context.stdout.write(view.help());
    return 0;
  }
  if (operands.length === 0) throw usageError('no source, see millrace view --help');
  if (settings.raw) return viewFrames(context, operands, settings);
  const isBinary = settings.format === 'perfetto' && !settings.stats && !settings.json;
  if (isBinary && settings.file === undefined && context.isTerminal)
    throw usageError('a Perfetto trace is nothing for a terminal: name a file with --output-file');
  const sink =
    settings.file === undefined ? undefined : createWriteStream(resolve(context.cwd, settings.file));
  const reset = sink === undefined && !isBinary && isColorful(context);
  try {
    const status = await viewSources(context, settings, operands, sink ?? context.stdout, reset);
    if (reset) context.stdout.write('\x1b[0m');
    return status;
  } catch (error) {
    // A reader that went away has seen enough.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 1;
    throw error;
  } finally {
    if (sink !== undefined) await new Promise<void>((done) => sink.end(() => done()));
  }
}

async function viewSources(
  context: Context,
  settings: ViewSettings,
  inputs: readonly string[],
  out: Writable,
  colorful: boolean,
): Promise<number> {
  const viewer = await loadViewer();
  const { JsonFormat, lossText, NoFormat, PerfettoFormat, StatsCounter, TextFormat, TimeText } = viewer;
  const warn = (line: string) => void context.stderr.write(`${line}\n`);
  const color = colorful && settings.color !== 'never';
  const clock = { form: settings.clockForm, gmt: settings.gmt };
  const time = new TimeText(clock, warn);
  const style = {
    names: namesOf(settings.names),
    fields: fieldsOf(settings.fields),
    color,
    delta: settings.delta,
    clock,
  };
  const { begin, end } = settings;
  // Lines are only lent. What writes to a descriptor has written when it says so; any other stream may keep them.
  const keeps = typeof (out as { fd?: unknown }).fd !== 'number';
  const stats = settings.stats ? new StatsCounter() : undefined;
  const format = settings.json ? 'json' : settings.format;
  const formats = {
    text: () => new TextFormat(style, time),
    json: () => new JsonFormat(),
    perfetto: () => new PerfettoFormat(),
    none: () => new NoFormat(),
  };
  const options: LiveViewOptions = {
    format: stats === undefined ? formats[format]() : new NoFormat(),
    ...filtersOf(viewer, settings),
    ...(stats !== undefined && {
      counted: (moment, event, stream) => stats.counted(moment, event, stream),
    }),
    ...((begin ?? end) && { range: (first) => rangeOf(begin, end, settings.gmt, first) }),
    clockOffset: { seconds: settings.offsetSeconds, ns: settings.offsetNs },
    forceCorrelate: settings.forceCorrelate,
    lost: (loss, stream) => {
      stats?.lost(loss, stream);
      if (format !== 'none' && stats === undefined) warn(lossText(loss, stream, time, color));
    },
    write: (lines) =>
      new Promise((done, fail) =>
        out.write(keeps ? Buffer.from(lines) : lines, (error) => (error ? fail(error) : done())),
      ),
  };
  if (isLive(inputs, settings)) {
    if (stats !== undefined || settings.intersection)
      throw usageError('--stats and --stream-intersection need directories that are finished');
    return viewComing(context, inputs, settings, options);
  }
  await viewer.view({
    ...options,
    inputs: inputs.map((input) => resolve(context.cwd, input)),
    intersection: settings.intersection,
    opened: (streams) => stats?.opened(streams),
  });
  if (stats === undefined) return 0;
  const counts = stats.result();
  out.write(settings.json ? toJson(counts) : formatStats(counts));
  return 0;
}
