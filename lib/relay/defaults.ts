/** A relay's options where nothing else is asked for. */
import { limits } from '../limits.ts';
import type { RelayOptions } from './options.ts';

const anyPort = { host: '127.0.0.1', port: 0 };

/**
 * Options of a relay that listens on loopback, on ports that the system chooses, and stores below `outputPath`
 * (absolute); `changes` replace what is named in them.
 */
export function relayOptions(outputPath: string, changes: Partial<RelayOptions> = {}): RelayOptions {
  return {
    outputPath,
    groupOutputBy: 'host',
    control: anyPort,
    data: anyPort,
    live: anyPort,
    disallowClear: false,
    keepAlive: { enabled: false, idleTimeS: -1, probeIntervalS: -1, maxProbeCount: -1 },
    socketTimeoutMs: 0,
    fdPoolSize: 1024,
    durability: 'none',
    syncIntervalMs: 1000,
    keepFreeBytes: limits.metadataReserveBytes,
    limits,
    ...changes,
  };
}
