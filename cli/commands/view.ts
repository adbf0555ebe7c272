import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { loadPrinter, loadStats, loadViewer } from '../../lib/start.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, parseOptions } from '../options.ts';
import { usageError } from '../usage.ts';
import { isLive, viewComing } from '../view/coming.ts';
import { viewOptionTable } from '../view/option-table.ts';
import { finishedOptions, printOptions } from '../view/print-options.ts';
import { type ViewSettings, viewDefaults } from '../view/settings.ts';
import { isColorful } from '../view/terminal.ts';

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
  if (settings.raw) return (await import('../view/raw.ts')).viewFrames(context, operands, settings);
  const isBinary = settings.format === 'perfetto' && !settings.stats && !settings.json;
  if (isBinary && settings.file === undefined && context.isTerminal)
    throw usageError('a Perfetto trace is nothing for a terminal: name a file with --output-file');
  const sink = settings.file === undefined ? undefined : await openSink(resolve(context.cwd, settings.file));
  const pager =
    context.isTerminal && !isLive(operands, settings) ? await openPager(context, settings) : undefined;
  const out = sink ?? pager?.input ?? context.stdout;
  const reset = sink === undefined && !isBinary && isColorful(context);
  try {
    const status = await viewSources(context, settings, operands, out, reset);
    if (reset) out.write('\x1b[0m');
    if (sink !== undefined) await closeSink(sink);
    return status;
  } catch (failure) {
    // Writes behind the one that failed only say that the stream is no more.
    const error = out.errored ?? failure;
    // A reader that went away has seen enough.
    if (isGone(error)) return pager === undefined ? 1 : 0;
    throw error;
  } finally {
    sink?.destroy();
    await pager?.end();
  }
}

/** The file of --output-file. What goes wrong with it is said by the write that it befalls. */
async function openSink(path: string): Promise<WriteStream> {
  const sink = createWriteStream(path);
  await once(sink, 'open');
  return sink.on('error', () => {});
}

/** Resolves when all of it is written. */
function closeSink(sink: WriteStream): Promise<void> {
  return new Promise((done, fail) => sink.end((error?: Error | null) => (error ? fail(error) : done())));
}

/** Loaded for terminals only: start-up is what users wait for. */
async function openPager(context: Context, settings: ViewSettings) {
  const { Pager, pagerOf } = await import('../view/pager.ts');
  const command = pagerOf(context, settings);
  return command === undefined ? undefined : new Pager(context, command);
}

/** Whether a write failed because its reader went away. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}

/** Outputs whose lines depend on nothing but the event before. */
const divisible: readonly string[] = ['text', 'json', 'none'];

async function viewSources(
  context: Context,
  settings: ViewSettings,
  inputs: readonly string[],
  out: Writable,
  colorful: boolean,
): Promise<number> {
  const warn = (line: string) => void context.stderr.write(`${line}\n`);
  // Lines are only lent. What writes to a descriptor has written when it says so; any other stream may keep them.
  const keeps = typeof (out as { fd?: unknown }).fd !== 'number';
  const write = (lines: Uint8Array): Promise<void> =>
    new Promise((done, fail) =>
      out.write(keeps ? Buffer.from(lines) : lines, (error) => (error ? fail(error) : done())),
    );
  const paths = inputs.map((input) => resolve(context.cwd, input));
  if (
    settings.jobs > 1 &&
    !settings.stats &&
    divisible.includes(settings.format) &&
    !isLive(inputs, settings)
  ) {
    const { printInParts } = await import('../view/jobs.ts');
    await printInParts({ settings, inputs: paths, ends: { colorful, warn, write } });
    return 0;
  }
  const printer = await loadPrinter();
  const stats = settings.stats ? new (await loadStats()).StatsCounter() : undefined;
  const isSpecial = settings.format === 'perfetto' && !settings.json;
  const special = isSpecial ? new (await loadViewer()).PerfettoFormat() : undefined;
  const ends = { colorful, warn, write, special, stats };
  if (isLive(inputs, settings)) {
    if (stats !== undefined || settings.intersection)
      throw usageError('--stats and --stream-intersection need directories that are finished');
    return viewComing(context, inputs, settings, await printOptions(printer, settings, ends));
  }
  await printer.view(await finishedOptions(printer, { settings, inputs: paths, ends }));
  if (stats === undefined) return 0;
  const { statsText } = await import('../view/stats-text.ts');
  out.write(statsText(stats.result(), settings));
  return 0;
}
