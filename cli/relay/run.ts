/** A relay in this process, from its settings to its end. */
import { type CompleteChunk, limits, type Relay, tell, why } from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { translateAtOnce } from '../engine.ts';
import { logLevel, runService, type Service } from '../service.ts';
import { usageError } from '../usage.ts';
import { ChunkCommands } from './chunk-commands.ts';
import type { Configured } from './configure.ts';
import { openControl } from './control.ts';
import { openHealth } from './health.ts';
import { readiness } from './readiness.ts';
import { writePidFile, writePortFiles } from './run-files.ts';
import { runFolder } from './run-folder.ts';
import { type RelaySettings, relayOptionsOf } from './settings.ts';

/**
 * Runs until a signal ends it. `isDaemon`: started by `launchDaemon`; `ready` is called once, when the relay
 * listens. Resolves to the exit status: 0, 1 when the end took longer than `limits.closeSeconds`, 128 and the
 * signal's number after a second signal. Rejects when the relay cannot start.
 */
export async function runRelay(
  context: Context,
  { settings, warnings }: Configured,
  isDaemon: boolean,
  ready: () => void,
): Promise<number> {
  const { logFormat, verbosity } = settings;
  return await runService(context, { level: logLevel('info', verbosity), logFormat }, async (service) => {
    for (const sentence of warnings) tell('warn', 'cli:settings', sentence);
    changeDirectory(context, settings, isDaemon);
    const chunks = chunkCommandsOf(context, settings);
    if (chunks !== undefined) service.owns(() => chunks.stop());
    const onChunkComplete = (chunk: CompleteChunk) => chunks?.run(chunk);
    const relay = await context.createRelay({ ...(await relayOptionsOf(settings)), onChunkComplete });
    const now = service.signals.second.then((number) => {
      relay.destroy();
      return 128 + number;
    });
    return await Promise.race([now, serve({ context, settings, isDaemon, relay, chunks, service, ready })]);
  });
}

function chunkCommandsOf(
  { env }: Context,
  { chunkCommand: command }: RelaySettings,
): ChunkCommands | undefined {
  return command === undefined ? undefined : new ChunkCommands(command, env);
}

/** lttng-relayd goes on in `/` as a daemon, and ends with status 0 when its directory is missing: not so here. */
function changeDirectory(context: Context, { workingDirectory }: RelaySettings, isDaemon: boolean): void {
  if (isDaemon) context.chdir('/');
  if (workingDirectory === undefined) return;
  try {
    context.chdir(workingDirectory);
  } catch (error) {
    throw usageError(`--working-directory: ${why(error)}`, error);
  }
}

interface Serving {
  context: Context;
  settings: RelaySettings;
  isDaemon: boolean;
  relay: Relay;
  chunks: ChunkCommands | undefined;
  service: Service;
  ready: () => void;
}

async function serve(serving: Serving): Promise<number> {
  const { context, settings, isDaemon, relay, chunks, service, ready } = serving;
  const { owns, signals } = service;
  const manager = readiness(context);
  await relay.start();
  translateAtOnce();
  let status = 0;
  try {
    const folder = runFolder(context, settings.group);
    const health = await openHealth(context, folder, settings.healthSocketPath, relay);
    if (health !== undefined) owns(() => health.close());
    if (settings.pidFilePath !== undefined) owns(writePidFile(settings.pidFilePath, context.pid));
    if (settings.dynamicPorts) owns(writePortFiles(folder, relay.addresses));
    await openControl(context, folder, settings.controlSocketPath, relay, service);
    ready();
    manager.ready();
    // A daemon's parent is the command that launched it, which signals its own parent instead.
    if (settings.sigParent && !isDaemon) context.kill(context.ppid, 'SIGUSR1');
    await signals.first;
    manager.stopping();
  } finally {
    status = await closeInTime(relay, chunks);
  }
  return status;
}

/** Commands for the last chunks are a part of the end. */
async function closeInTime(relay: Relay, chunks: ChunkCommands | undefined): Promise<number> {
  const { closeSeconds } = limits;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, closeSeconds * 1000, 'late');
  });
  const done = relay.close().then(() => chunks?.idle());
  const ended = await Promise.race([done, late]);
  clearTimeout(timer);
  if (ended !== 'late') return 0;
  relay.destroy();
  tell('error', 'cli:late', `the relay did not end within ${closeSeconds} s and was cut`, {
    seconds: closeSeconds,
  });
  return 1;
}
