import { setTimeout as delay } from 'node:timers/promises';
import {
  askControl,
  formatDiskStatus,
  formatStatus,
  isDiskStatus,
  MillraceError,
  type RelayStatus,
  type StatusSample,
} from '../../lib/index.ts';
import { helpOption, jsonOption, section } from '../common-options.ts';
import type { Command, Context } from '../context.ts';
import { helpText } from '../help.ts';
import { applyOption, type Option, parseOptions, parseWhole } from '../options.ts';
import { findSocketPaths } from '../relay/control-path.ts';
import { runFolderPath } from '../relay/run-folder.ts';
import { usageError } from '../usage.ts';

interface StatusSettings {
  help: boolean;
  json: boolean;
  watch: boolean;
  intervalMs: number;
}

const optionTable: readonly Option<StatusSettings>[] = [
  jsonOption('Print the status as JSON, with --watch one object a line.'),
  {
    name: 'watch',
    short: 'w',
    section,
    help: 'Print it again and again; on a terminal in place. SIGINT or SIGTERM ends it.',
    set: (settings, on) => {
      settings.watch = on;
    },
  },
  {
    name: 'interval',
    short: 'i',
    argument: 'MS',
    section,
    help: 'Milliseconds between two looks, over which rates are taken.',
    default: '1000',
    set: (settings, value) => {
      settings.intervalMs = parseWhole(value, 10, 86_400_000, 'ms');
    },
  },
  helpOption(),
];

/** Shows what a running relay does. */
export const status: Command = {
  name: 'status',
  summary: 'show sessions, streams, rates and losses of a running relay',
  help: () =>
    `usage: millrace status [OPTION]... [PATH]\n\nPATH is the control socket of a relay or a disk server; without it, that of the one relay that runs.\n\n${helpText(optionTable)}`,
  run,
};

async function run(context: Context): Promise<number> {
  const settings: StatusSettings = { help: false, json: false, watch: false, intervalMs: 1000 };
  const { given, operands } = parseOptions(optionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(status.help());
    return 0;
  }
  if (operands.length > 1) throw usageError('more than one PATH');
  const path = operands[0] ?? (await findRelay(context));
  const print = (now: StatusSample, before?: StatusSample): void => {
    context.stdout.write(settings.json ? `${JSON.stringify(now.status)}\n` : asText(now, before));
  };
  if (settings.watch) return watch(context, path, settings, print);
  if (settings.json) {
    print(await look(path));
    return 0;
  }
  const before = await look(path);
  await delay(settings.intervalMs);
  print(await look(path), before);
  return 0;
}

/** A disk server answers on its control socket too. */
function asText(now: StatusSample, before?: StatusSample): string {
  const { atMs, status } = now;
  if (!isDiskStatus(status)) return formatStatus(now, before);
  const earlier = before?.status;
  const last =
    earlier !== undefined && isDiskStatus(earlier) ? { status: earlier, atMs: before?.atMs ?? 0 } : undefined;
  return formatDiskStatus({ status, atMs }, last);
}

/** Looks until a signal comes, or until the relay is gone, which rejects. */
async function watch(
  context: Context,
  path: string,
  { json, intervalMs }: StatusSettings,
  print: (now: StatusSample, before?: StatusSample) => void,
): Promise<number> {
  const enough = new AbortController();
  const forget = (['SIGINT', 'SIGTERM'] as const).map((name) => context.onSignal(name, () => enough.abort()));
  try {
    let before: StatusSample | undefined;
    while (!enough.signal.aborted) {
      const now = await look(path);
      // Home, then erase to the end of the screen (ECMA-48 CUP, ED).
      if (context.isTerminal && !json) context.stdout.write('\x1b[H\x1b[J');
      else if (before !== undefined && !json) context.stdout.write('\n');
      print(now, before);
      before = now;
      await delay(intervalMs, undefined, { signal: enough.signal }).catch(() => undefined);
    }
    return 0;
  } finally {
    for (const each of forget) each();
  }
}

async function look(path: string): Promise<StatusSample> {
  const answer = await askControl(path, 'status');
  return { status: answer as RelayStatus, atMs: Date.now() };
}

/** The control socket of the one relay that answers in the run folder. */
async function findRelay(context: Context): Promise<string> {
  const folder = runFolderPath(context);
  const paths = findSocketPaths(folder);
  const living = await Promise.all(
    paths.map((path) =>
      look(path).then(
        () => path,
        () => undefined,
      ),
    ),
  );
  const found = living.filter((path) => path !== undefined);
  const [only] = found;
  if (only === undefined)
    throw new MillraceError('MR_ERR_CONTROL_SOCKET', { path: folder, why: 'no relay answers here' });
  if (found.length > 1) throw usageError(`several relays run, name one: ${found.join(', ')}`);
  return only;
}
