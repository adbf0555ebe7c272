/** Environment variables of lttng-relayd. Source: relay-behaviour, "Configuration and environment". */
import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { parseSwitch } from '../options.ts';
import { usageError } from '../usage.ts';
import type { RelaySettings } from './settings.ts';

/**
 * Fills what no option has set from the environment. `warn` is told of values that are left out, as
 * lttng-relayd goes on without them. Throws `MR_ERR_USAGE` for the one variable it insists on.
 */
export function applyEnvironment(
  env: Context['env'],
  settings: RelaySettings,
  warn: (sentence: string) => void,
): void {
  const clear = env.LTTNG_RELAYD_DISALLOW_CLEAR;
  if (settings.disallowClear === undefined && clear !== undefined) {
    settings.disallowClear = parseSwitch(clear);
    if (settings.disallowClear === undefined)
      throw usageError(`LTTNG_RELAYD_DISALLOW_CLEAR: "${clear}" is neither yes nor no`);
  }
  const directory = env.LTTNG_RELAYD_WORKING_DIRECTORY;
  if (directory) settings.workingDirectory ??= resolve(settings.cwd, directory);
  const health = env.LTTNG_RELAYD_HEALTH;
  if (health) settings.healthSocketPath = resolve(settings.cwd, health);

  // -1 and 0 leave what the system has; everything else has to be a positive number.
  const positive = (name: string): number | undefined => {
    const text = env[name];
    if (text === undefined || text === '-1' || text === '0') return undefined;
    if (/^\d{1,9}$/.test(text)) return Number(text);
    warn(`${name}: "${text}" is no number from -1 up, left out`);
    return undefined;
  };
  settings.socketTimeoutMs = positive('LTTNG_NETWORK_SOCKET_TIMEOUT') ?? 0;

  const keepAlive = 'LTTNG_RELAYD_TCP_KEEP_ALIVE';
  const wanted = env[keepAlive];
  if (wanted === undefined || wanted === '-1') return;
  const enabled = parseSwitch(wanted);
  if (enabled === undefined) warn(`${keepAlive}: "${wanted}" is neither yes nor no, left out`);
  if (enabled !== true) return;
  settings.keepAlive = {
    enabled,
    idleTimeS: positive(`${keepAlive}_IDLE_TIME`) ?? -1,
    probeIntervalS: positive(`${keepAlive}_PROBE_INTERVAL`) ?? -1,
    maxProbeCount: positive(`${keepAlive}_MAX_PROBE_COUNT`) ?? -1,
  };
}
