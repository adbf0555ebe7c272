import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  diskPair,
  loadPipe,
  type Moment,
  type PipeReport,
  pairs,
  parseUri,
  type RunningPipe,
  sinkKinds,
  sourceKinds,
  splitEndpoints,
  type Uri,
} from '../../lib/index.ts';
import type { Command, Context } from '../context.ts';
import type { Served } from '../control-table.ts';
import { helpText } from '../help.ts';
import { copyDisks, isDiskCopy } from '../nbd/copy.ts';
import { applyOption, parseOptions } from '../options.ts';
import { type PipeSettings, pipeOptionTable } from '../pipe/option-table.ts';
import { bytesText } from '../progress.ts';
import { runService, type Service } from '../service.ts';
import { usageError } from '../usage.ts';
import { rangeOf } from '../view/time-bounds.ts';

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
    helpText(pipeOptionTable),
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
  const { given, operands } = parseOptions(pipeOptionTable, context.argv);
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
  const report = await runService(context, {}, async (service) =>
    watched(service, await open(context, source, sink, settings), settings.control),
  );
  const out = sink === '-' ? context.stderr : context.stdout;
  if (settings.json) out.write(`${asJson(report)}\n`);
  else context.stderr.write(asText(report));
  return report.outcome.kind === 'end' && report.missing.length === 0 ? 0 : 1;
}

async function open(
  context: Context,
  source: string,
  sink: string,
  settings: PipeSettings,
): Promise<RunningPipe> {
  const { openPipe } = await loadPipe();
  const { sessions, streams, strict, follow, begin, end, gmt, speed } = settings;
  const span = rangeOf(begin, end, gmt, undefined);
  const [beginNs, endNs] = [nanosecondsOf(span.begin), nanosecondsOf(span.end)];
  return openPipe({
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
  { control, progress, signals }: Service,
  running: RunningPipe,
  controlPath: string | undefined,
): Promise<PipeReport> {
  void signals.first.then(() => running.stop());
  void signals.second.then(() => running.abort());
  const status: Served = { help: 'how far it is', answer: () => running.passed };
  await control(controlPath, { status }).catch((error: unknown) => {
    running.abort();
    throw error;
  });
  progress(() => {
    const { sessions, packets, bytes, lost } = running.passed;
    const losses = lost > 0 ? `, ${lost} lost` : '';
    return { bytes, text: `${sessions} sessions, ${packets} packets${losses}` };
  });
  return await running.done;
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
