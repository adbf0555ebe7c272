/** From the settings to what the library prints by: in the thread of the command, and in those of `--jobs`. */
import type { LineFormat, loadPrinter, loadStats, ViewOptions } from '../../lib/index.ts';
import { loadJsonFormat, loadSelection } from '../../lib/start.ts';
import { fieldsOf, namesOf, type ViewSettings } from './settings.ts';
import { rangeOf } from './time-bounds.ts';

export type Printer = Awaited<ReturnType<typeof loadPrinter>>;

/** Where lines and words go. */
export interface PrintEnds {
  colorful: boolean;
  warn: (line: string) => void;
  write: ViewOptions['write'];
  /** An output that is loaded apart, in place of lines. */
  special?: LineFormat | undefined;
  /** Counts, in place of lines. */
  stats?: InstanceType<Awaited<ReturnType<typeof loadStats>>['StatsCounter']> | undefined;
}

/** What is printed of finished directories. */
export interface Finished {
  settings: ViewSettings;
  /** Absolute paths. */
  inputs: readonly string[];
  ends: PrintEnds;
}

export async function finishedOptions(
  printer: Printer,
  { settings, inputs, ends }: Finished,
): Promise<ViewOptions> {
  return {
    ...(await printOptions(printer, settings, ends)),
    inputs,
    intersection: settings.intersection,
    isAlone: true,
    opened: (streams) => ends.stats?.opened(streams),
  };
}

export async function printOptions(
  printer: Printer,
  settings: ViewSettings,
  { colorful, warn, write, special, stats }: PrintEnds,
): Promise<Omit<ViewOptions, 'inputs'>> {
  const { lossText, NoFormat, TextFormat, TimeText } = printer;
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
  const format = settings.json ? 'json' : settings.format;
  const formats = {
    text: () => new TextFormat(style, time),
    json: async () => new (await loadJsonFormat()).JsonFormat(),
    none: () => new NoFormat(),
    perfetto: () => special ?? new NoFormat(),
  };
  return {
    format: stats === undefined ? await formats[format]() : new NoFormat(),
    ...(await filters(settings)),
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
    write,
  };
}

/** Loaded for those who filter: start-up is what users wait for. */
async function filters(settings: ViewSettings) {
  const { events, streams, processes, where } = settings;
  if (events.length + streams.length + processes.length + where.length === 0) return {};
  const { filtersOf } = await import('./filters.ts');
  return filtersOf(await loadSelection(), settings);
}
