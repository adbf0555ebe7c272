import { type ConsumeReport, loadConsume, type RunningConsumer } from '../../lib/index.ts';
import { type ConsumeSettings, consumeDefaults, consumeOptionTable } from '../consume/option-table.ts';
import { asJson, asText } from '../consume/report.ts';
import type { Command, Context } from '../context.ts';
import type { Served } from '../control-table.ts';
import { helpText } from '../help.ts';
import { applyOption, parseOptions } from '../options.ts';
import { runService, type Service } from '../service.ts';
import { usageError } from '../usage.ts';

/** Streams a trace into a relay. */
export const consume: Command = {
  name: 'consume',
  summary: 'stream a trace into a relay',
  help: () =>
    [
      'usage: millrace consume [OPTION]... SOURCE --to URI\n',
      '       millrace consume [OPTION]... SOURCE -C tcp://HOST[:PORT] -D tcp://HOST[:PORT]\n\n',
      'SOURCE is a CTF directory (a trace, a session, or all output of a relay), capture:FILE,\nor - for a frame log on standard input.\n\n',
      helpText(consumeOptionTable),
      '\nExit status: 0 the target has all of it, 1 failed, or a part is missing, 2 wrong usage.\n',
    ].join(''),
  run,
};

async function run(context: Context): Promise<number> {
  const settings = consumeDefaults();
  const { given, operands } = parseOptions(consumeOptionTable, context.argv);
  for (const one of given) applyOption(one, settings);
  if (settings.help) {
    context.stdout.write(consume.help());
    return 0;
  }
  const [source, ...more] = operands;
  if (source === undefined || more.length > 0) throw usageError('one SOURCE is needed');
  const report = await runService(context, {}, async (service) =>
    watched(service, await open(context, settings, source), settings.control),
  );
  if (settings.json) context.stdout.write(`${asJson(report)}\n`);
  else context.stderr.write(asText(report));
  return report.outcome.kind === 'end' && report.missing.length === 0 ? 0 : 1;
}

async function open(context: Context, settings: ConsumeSettings, source: string): Promise<RunningConsumer> {
  const { openConsumer } = await loadConsume();
  const { session, hostname, liveTimerUs, bytesPerSecond, minor, mtuBytes, strict } = settings;
  const { dialTimeoutMs, replyTimeoutMs, pendingTimeoutMs } = settings;
  return openConsumer({
    source,
    to: targetOf(settings),
    strict,
    stdin: () => context.stdin(),
    dialTimeoutMs,
    replyTimeoutMs,
    pendingTimeoutMs,
    ...(session === undefined ? {} : { sessionName: session }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(liveTimerUs === undefined ? {} : { liveTimerUs }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(minor === undefined ? {} : { minor }),
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
  });
}

/** One address, or control and data apart. */
function targetOf({ to, controlUri, dataUri }: ConsumeSettings): string {
  if (to !== undefined && (controlUri ?? dataUri) !== undefined)
    throw usageError('--to names both connections: give it alone, or --ctrl-url with --data-url');
  if (to !== undefined) return to;
  if (controlUri === undefined || dataUri === undefined)
    throw usageError('a target is needed: --to, or --ctrl-url with --data-url');
  // As lttng has it: net:// twice is net:// once.
  return controlUri === dataUri ? controlUri : `${controlUri} ${dataUri}`;
}

/** Steers a consumer by signals and the control socket, and shows how far it is. */
async function watched(
  { control, progress, signals }: Service,
  running: RunningConsumer,
  controlPath: string | undefined,
): Promise<ConsumeReport> {
  void signals.first.then(() => running.stop());
  void signals.second.then(() => running.abort());
  await control(controlPath, commandsOf(running)).catch((error: unknown) => {
    running.abort();
    throw error;
  });
  progress(() => {
    const { packets, bytes, metadataBytes, lost } = running.passed;
    const losses = lost > 0 ? `, ${lost} lost` : '';
    const { totalBytes, status } = running;
    const state = status.state === 'streaming' ? '' : `, ${status.state}`;
    return {
      bytes: bytes + metadataBytes,
      ...(totalBytes === undefined ? {} : { totalBytes: Math.max(totalBytes, bytes + metadataBytes) }),
      text: `${packets} packets${losses}${state}`,
    };
  });
  return await running.done;
}

/** What `millrace ctl PATH` may ask. */
function commandsOf(running: RunningConsumer): Readonly<Record<string, Served>> {
  const changed = (change: Promise<void>) => change.then(() => running.status);
  return {
    status: {
      help: 'how far it is, and what each target has',
      answer: () => ({ ...running.status, passed: running.passed, totalBytes: running.totalBytes }),
    },
    'set-uri': {
      help: 'URI, or CONTROL DATA: stream there from the next packet on',
      answer: (uris) => {
        if (uris.length === 0 || uris.length > 2) throw usageError('set-uri URI, or set-uri CONTROL DATA');
        return changed(running.setUri(uris.join(' ')));
      },
    },
    enable: { help: 'stream again', answer: () => changed(running.enable()) },
    disable: {
      help: 'end everything at the target and hold back the source',
      answer: () => changed(running.disable()),
    },
  };
}
