/**
 * Both connections to a relay, and who speaks there: connect twice, VERSION, GET_CONFIGURATION. Either all of it
 * succeeds or nothing stays open.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, relayRet } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { addressText } from '../../network/address.ts';
import { dial } from '../../network/dial.ts';
import { configurationFlags, privateFeatures, privateQuery, resumeStates } from '../../wire/relay/index.ts';
import { relayMajor, relayMinor } from '../commands/version.ts';
import { ControlChannel } from './control-channel.ts';
import { DataChannel } from './data-channel.ts';
import type { DataLink } from './data-link.ts';
import type { RelaySinkOptions, Resumes } from './options.ts';

/** A relay that has been spoken to. */
export interface RelayLink {
  control: ControlChannel;
  data: DataLink;
  /** Minor of both sides. */
  minor: number;
  clearAllowed: boolean;
  /** It is millrace, and can be told of losses. */
  isMillrace: boolean;
  /** What becomes of the session that is about to be created. */
  resumes: Resumes;
  /** Where it was stored until now; empty before 2.11; undefined: nowhere. */
  resumedPath: string | undefined;
}

const stateNames: Readonly<Record<number, Resumes>> = {
  [resumeStates.never]: 'never',
  [resumeStates.new]: 'new',
  [resumeStates.known]: 'known',
};
const askAgainMs = 20;

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
  const [control, data] = await openBoth(options, timeoutMs, onFailed);
  const { peer } = control;
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
    const isUdp = options.data.transport === 'udp';
    const flags = theirs.minor >= configurationSince ? await configuration(control) : 0n;
    if (isUdp && (flags & privateFeatures.udp) === 0n) {
      const why = 'takes no data over UDP; a millrace relay does, with --udp-port';
      throw new MillraceError('MR_ERR_CLIENT_UNSUPPORTED', { peer, minor, why });
    }
    if (options.via !== undefined) {
      if ((flags & privateFeatures.hops) === 0n) {
        const why = 'passes no sessions on; a millrace relay does, with --allow-hops';
        throw new MillraceError('MR_ERR_CLIENT_UNSUPPORTED', { peer, minor, why });
      }
      await control.ask('forwardTo', { uri: options.via });
    }
    const has = (flag: bigint) => (flags & flag) !== 0n;
    const clearAllowed = has(configurationFlags.clearAllowed);
    const isMillrace = has(privateFeatures.forwarding);
    const there =
      isMillrace && options.resume !== undefined
        ? await resume(control, options.resume, timeoutMs)
        : { resumes: 'never' as const, resumedPath: undefined };
    return { control, data, minor, clearAllowed, isMillrace, ...there };
  } catch (error) {
    control.fail(error as MillraceError);
    data.fail(error as MillraceError);
    throw error;
  }
}

/** RESUME_SESSION, asked until the relay is through with what the session's last connection has left. */
async function resume(
  control: ControlChannel,
  request: NonNullable<RelaySinkOptions['resume']>,
  timeoutMs: number,
): Promise<Pick<RelayLink, 'resumes' | 'resumedPath'>> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const { busy, state, sessionPath } = await control.ask('resumeSession', request);
    if (!busy) return { resumes: stateNames[state] ?? 'never', resumedPath: sessionPath };
    if (Date.now() > deadlineMs)
      throw new MillraceError('MR_ERR_CLIENT_PENDING', { peer: control.peer, seconds: timeoutMs / 1000 });
    await delay(askAgainMs);
  }
}

/** What the relay says of itself, and what it can do for another millrace program: LTTng's refuse to say the latter. */
async function configuration(control: ControlChannel): Promise<bigint> {
  for (const queryFlags of [privateQuery, 0n]) {
    const { ret, flags } = await control.ask('getConfiguration', { queryFlags }, { anyRet: true });
    if (ret === relayRet.ok) return flags;
  }
  return 0n;
}

async function openBoth(
  options: RelaySinkOptions,
  timeoutMs: number,
  onFailed: (error: MillraceError) => void,
): Promise<[control: ControlChannel, data: DataLink]> {
  const { control, data, signal, dialTimeoutMs = limits.dialSeconds * 1000 } = options;
  const how = { timeoutMs: dialTimeoutMs, ...(signal && { signal }) };
  const channel = { timeoutMs, onFailed };
  const both = await Promise.allSettled([
    dial(control, how).then(
      (socket) => new ControlChannel(socket, { ...channel, peer: addressText(control) }),
    ),
    data.transport === 'udp'
      ? openUdp(options, channel)
      : dial(data, how).then((socket) => new DataChannel(socket, { ...channel, peer: addressText(data) })),
  ]);
  const [first, second] = both;
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value];
  const reason = (
    first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason
  ) as MillraceError;
  for (const each of both) if (each.status === 'fulfilled') each.value.fail(reason);
  throw reason;
}

async function openUdp(
  { data, mtuBytes = limits.mtuBytes }: RelaySinkOptions,
  channel: { timeoutMs: number; onFailed: (error: MillraceError) => void },
): Promise<DataLink> {
  const { dialUdp } = await import('../../network/udp.ts');
  const { UdpChannel } = await import('./udp-channel.ts');
  if (data.path !== undefined) throw new TypeError('datagrams go to a host and a port');
  let failed: (error: MillraceError) => void = channel.onFailed;
  const sender = await dialUdp(data, (error) => failed(error));
  const udp = new UdpChannel(sender, { ...channel, peer: addressText(data), mtu: mtuBytes });
  failed = (error) => udp.fail(error);
  return udp;
}
