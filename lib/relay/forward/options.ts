/** What a forwarder is told, and what it tells. */
import type { RelaySinkOptions } from '../client/options.ts';
import { parseRoute } from '../client/route.ts';

/** Bytes that spools may take where nothing else is said: 1 GiB. */
export const usualSpoolBytes = 1_073_741_824;

/** A relay that gets everything. */
export interface ForwardTarget extends RelaySinkOptions {
  /** The address as it was given, for people. */
  uri: string;
  /** Between two attempts, milliseconds: the first pause, and the longest. */
  retryMs?: number;
  longestRetryMs?: number;
}

export interface ForwardOptions {
  targets: readonly ForwardTarget[];
  /** Absolute; made when it is missing. */
  spoolPath: string;
  /** Bytes that all spools may take. */
  spoolSizeBytes: number;
  /** What happens when they do. */
  whenFull: 'push-back' | 'drop-oldest';
  /** Keep nothing here of what the next relays have. */
  noStore: boolean;
}

/** Options of a relay below `outputPath` that forwards to nobody, but for who names a way. */
export function defaultForward(outputPath: string): ForwardOptions {
  const spoolPath = `${outputPath}/.millrace/spool`;
  return { targets: [], spoolPath, spoolSizeBytes: usualSpoolBytes, whenFull: 'push-back', noStore: false };
}

export interface ForwardStatus {
  spoolBytes: number;
  spoolSizeBytes: number;
  /** Packets that were dropped because the spools were full. */
  droppedPackets: number;
  ways: ShipperStatus[];
}

/** One session on its way to one relay. */
export interface ShipperStatus {
  uri: string;
  state: 'connecting' | 'sending' | 'waiting' | 'done';
  /** Bytes of the spool's files. */
  spoolBytes: number;
  /** Outages so far. */
  outages: number;
  /** Frames that came, and of which the next relay has everything. */
  frames: number;
  acknowledged: number;
  /** Why the last attempt failed; undefined: it did not. */
  failure: string | undefined;
}

/** A relay by its address. Throws MR_ERR_NETWORK_URI. */
export function targetOf(uri: string): ForwardTarget {
  const { path, ...route } = parseRoute(uri);
  return path === '' ? route : { ...route, rename: (open) => ({ ...open, basePath: path }) };
}
