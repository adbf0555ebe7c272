/** What `millrace relay` is to do, before and after options are read. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import {
  defaultForward,
  defaultPorts,
  type LogFormat,
  limits,
  type RelayOptions,
  targetOf,
  usualSpoolBytes,
} from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { usageError } from '../usage.ts';
import { type ListenUrl, resolveListenUrl } from './listen-url.ts';

export interface RelaySettings {
  /** What is asked for instead of a running relay; the first one on the command line counts. */
  instead: 'help' | 'version' | 'list-options' | undefined;
  control: ListenUrl;
  data: ListenUrl;
  live: ListenUrl;
  udp: ListenUrl | undefined;
  outputPath: string;
  groupOutputBy: RelayOptions['groupOutputBy'];
  /** undefined: as `LTTNG_RELAYD_DISALLOW_CLEAR` says. */
  disallowClear: boolean | undefined;
  fdPoolSize: number;
  durability: RelayOptions['durability'];
  syncIntervalMs: number;
  keepFreeBytes: number;
  /** Relays that get everything, by their addresses. */
  forward: string[];
  noStore: boolean;
  /** undefined: below the output directory. */
  spoolPath: string | undefined;
  spoolSizeBytes: number;
  whenFull: 'push-back' | 'drop-oldest';
  allowHops: boolean;
  /** Command for each complete trace chunk. */
  chunkCommand: string | undefined;
  keepAlive: RelayOptions['keepAlive'];
  socketTimeoutMs: number;
  daemonize: boolean;
  background: boolean;
  /** undefined: as `LTTNG_RELAYD_WORKING_DIRECTORY` says, else unchanged. */
  workingDirectory: string | undefined;
  /** Configuration file of `--config`. */
  configPath: string | undefined;
  /** Group that may ask for the health of a relay that runs as root. */
  group: string;
  /** undefined: in the run folder. */
  healthSocketPath: string | undefined;
  /** 0 = life cycle and trouble, 1 = each command, 2 and more = each frame. */
  verbosity: number;
  logFormat: LogFormat;
  pidFilePath: string | undefined;
  sigParent: boolean;
  dynamicPorts: boolean;
  controlSocketPath: string | undefined;
  /** Resolves relative paths, whatever the working directory is later. */
  cwd: string;
}

/** Descriptors this process may hold open: its soft limit, to which Node raises it at start. */
export function descriptorLimit(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined ? Number.MAX_SAFE_INTEGER : Number(soft);
}

/** Directory that holds a user's `.lttng` and `lttng-traces`. Source: relay-behaviour, "Configuration". */
export function lttngHome({ env }: Pick<Context, 'env'>): string {
  return env.LTTNG_HOME || env.HOME || userInfo().homedir;
}

/** Settings when nothing is said. Source: relay-behaviour, "Options". */
export function defaultSettings(context: Context): RelaySettings {
  return {
    instead: undefined,
    control: { family: 4, host: '0.0.0.0', port: defaultPorts.control },
    data: { family: 4, host: '0.0.0.0', port: defaultPorts.data },
    live: { family: 4, host: 'localhost', port: defaultPorts.live },
    udp: undefined,
    outputPath: join(lttngHome(context), 'lttng-traces'),
    groupOutputBy: 'host',
    disallowClear: undefined,
    fdPoolSize: descriptorLimit(),
    durability: 'none',
    syncIntervalMs: 1000,
    keepFreeBytes: limits.metadataReserveBytes,
    forward: [],
    noStore: false,
    spoolPath: undefined,
    spoolSizeBytes: usualSpoolBytes,
    whenFull: 'push-back',
    allowHops: false,
    chunkCommand: undefined,
    keepAlive: { enabled: false, idleTimeS: -1, probeIntervalS: -1, maxProbeCount: -1 },
    socketTimeoutMs: 0,
    daemonize: false,
    background: false,
    workingDirectory: undefined,
    configPath: undefined,
    group: 'tracing',
    healthSocketPath: undefined,
    verbosity: 0,
    logFormat: 'text',
    pidFilePath: undefined,
    sigParent: false,
    dynamicPorts: false,
    controlSocketPath: undefined,
    cwd: context.cwd,
  };
}

/** Where everything goes on to. Throws `MR_ERR_NETWORK_URI`, and `MR_ERR_USAGE` for options that need `--forward`. */
function forwardOptionsOf(settings: RelaySettings): Pick<RelayOptions, 'forward' | 'allowHops'> {
  const { forward, noStore, spoolSizeBytes, whenFull, allowHops, outputPath } = settings;
  const hops = allowHops ? { allowHops } : {};
  if (forward.length === 0) {
    if (noStore) throw usageError('--no-store needs --forward: nothing would be left of a trace');
    if (settings.spoolPath === undefined) return hops;
  }
  const usual = defaultForward(outputPath);
  const spoolPath = settings.spoolPath ?? usual.spoolPath;
  return {
    ...hops,
    forward: { targets: forward.map(targetOf), spoolPath, spoolSizeBytes, whenFull, noStore },
  };
}

/** What the relay itself is told. Rejects `MR_ERR_USAGE` for a host name that has no address. */
export async function relayOptionsOf(settings: RelaySettings): Promise<RelayOptions> {
  const [control, data, live, udp] = await Promise.all([
    resolveListenUrl(settings.control),
    resolveListenUrl(settings.data),
    resolveListenUrl(settings.live),
    settings.udp && resolveListenUrl(settings.udp),
  ]);
  const { outputPath, groupOutputBy, keepAlive, socketTimeoutMs, fdPoolSize } = settings;
  const { durability, syncIntervalMs, keepFreeBytes } = settings;
  return {
    control,
    data,
    live,
    ...(udp && { udp }),
    outputPath,
    groupOutputBy,
    disallowClear: settings.disallowClear === true,
    keepAlive,
    socketTimeoutMs,
    fdPoolSize,
    durability,
    syncIntervalMs,
    keepFreeBytes,
    ...forwardOptionsOf(settings),
    limits,
  };
}
