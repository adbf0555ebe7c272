/**
 * Both connections to a relay, and who speaks there: connect twice, VERSION, GET_CONFIGURATION. Either all of it
 * succeeds or nothing stays open.
 */
import type { Socket } from 'node:net';
import { MillraceError, relayRet } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { addressText } from '../../network/address.ts';
import { dial } from '../../network/dial.ts';
import { configurationFlags } from '../../wire/relay/index.ts';
import { relayMajor, relayMinor } from '../commands/version.ts';
import { ControlChannel } from './control-channel.ts';
import { DataChannel } from './data-channel.ts';
import type { RelaySinkOptions } from './options.ts';

/** A relay that has been spoken to. */
export interface RelayLink {
  control: ControlChannel;
  data: DataChannel;
  /** Minor of both sides. */
  minor: number;
  clearAllowed: boolean;
}

/** Minor from which relays tell their configuration. */
const configurationSince = 12;

/**
 * Connects and agrees on a minor of at most `mostMinor`. `onFailed`: told once if either connection breaks later.
 * Rejects with MR_ERR_NETWORK_DIAL, MR_ERR_CLIENT_VERSION and the errors of `ControlChannel.ask`.
 */
export async function connectRelay(
  options: RelaySinkOptions,
  mostMinor: number,
  onFailed: (error: MillraceError) => void,
): Promise<RelayLink> {
  const timeoutMs = options.replyTimeoutMs ?? limits.replySeconds * 1000;
  const [controlSocket, dataSocket] = await dialBoth(options);
  const peer = addressText(options.control);
  const control = new ControlChannel(controlSocket, { peer, timeoutMs, onFailed });
  const data = new DataChannel(dataSocket, { peer: addressText(options.data), timeoutMs, onFailed });
  control.beforeWrite = () => data.flush();
  try {
    const major = relayMajor;
    const offered = Math.min(options.minor ?? relayMinor, mostMinor, relayMinor);
    const theirs = await control.ask('version', { major, minor: offered });
    if (theirs.major !== major || theirs.minor === 0) {
      const got = `${theirs.major}.${theirs.minor}`;
      throw new MillraceError('MR_ERR_CLIENT_VERSION', { peer, got, expected: `${major}.1 or later` });
    }
    const minor = Math.min(offered, theirs.minor);
    control.minor = minor;
    const clearAllowed = minor >= configurationSince && (await mayClear(control));
    return { control, data, minor, clearAllowed };
  } catch (error) {
    control.fail(error as MillraceError);
    data.fail(error as MillraceError);
    throw error;
  }
}

async function mayClear(control: ControlChannel): Promise<boolean> {
  const { ret, flags } = await control.ask('getConfiguration', { queryFlags: 0n }, { anyRet: true });
  return ret === relayRet.ok && (flags & configurationFlags.clearAllowed) !== 0n;
}

async function dialBoth({
  control,
  data,
  signal,
  dialTimeoutMs: timeoutMs = limits.dialSeconds * 1000,
}: RelaySinkOptions): Promise<[control: Socket, data: Socket]> {
  const how = { timeoutMs, ...(signal && { signal }) };
  const both = await Promise.allSettled([dial(control, how), dial(data, how)]);
  const [first, second] = both;
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value];
  for (const each of both) if (each.status === 'fulfilled') each.value.on('error', () => undefined).destroy();
  throw (first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason) as Error;
}
