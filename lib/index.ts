/** The public door: what programs and the command line import. */
export { type DiskStatusSample, formatDiskStatus, isDiskStatus } from './admin/disk-status.ts';
export { type Log, type LogFormat, type LogOptions, levels, openLog } from './admin/log.ts';
export { formatStatus, type StatusSample } from './admin/status.ts';
export { textTable } from './admin/table.ts';
export type * from './capture/index.ts';
export { makeDirectory } from './disk/directories.ts';
export type * from './disk/verify/index.ts';
export {
  type ErrorCode,
  errorTable,
  type Facts,
  MillraceError,
  printable,
  type Scope,
  why,
} from './errors.ts';
export { type Limits, limits } from './limits.ts';
export type * from './nbd/index.ts';
export {
  askControl,
  type ControlCommands,
  type ControlServer,
  serveControl,
} from './network/control-socket.ts';
export { type HealthServer, type HealthSocketOptions, serveHealth } from './network/health-socket.ts';
export { inheritedSockets } from './network/inherited.ts';
export { parseHops, type RelayTarget, relayTarget, splitEndpoints } from './network/relay-target.ts';
export { parseLiveUri, parseUri, type Uri } from './network/uri.ts';
export type { NbdUri } from './network/uri-nbd.ts';
export { defaultPorts, UriText } from './network/uri-parts.ts';
export { notifyManager } from './os/notify.ts';
export type { ConsumeOptions, ConsumeReport, RunningConsumer } from './pipe/consume.ts';
export { diskPair, type Pair, pairs, sinkKinds, sourceKinds } from './pipe/pairs.ts';
export type { Delivered } from './pipe/target.ts';
export type { PipeOptions, PipeReport, RunningPipe } from './pipe.ts';
export { relayOptions } from './relay/defaults.ts';
export { defaultForward, targetOf, usualSpoolBytes } from './relay/forward/options.ts';
export { healthBit } from './relay/health.ts';
export type * from './relay/live-client/index.ts';
export type * from './relay/options.ts';
export { type Level, type Told, tell, toldChannel } from './telemetry.ts';
export { version } from './version.ts';
export type * from './viewer/index.ts';

/** A relay: `const { createRelay } = await loadRelay()`. Who only reads does not wait for this to load. */
export const loadRelay = () => import('./relay/index.ts');

/** Recording and replaying conversations; likewise. */
export const loadCapture = () => import('./capture/index.ts');

/** Sources of frames that lie in directories; likewise. */
export const loadConsumer = () => import('./consumer/index.ts');

/** Checking and mending stored traces; likewise. */
export const loadVerify = () => import('./disk/verify/index.ts');

/** The network consumer; likewise. */
export const loadConsume = () => import('./pipe/consume.ts');
/** Disks over the network; likewise. */
export const loadNbd = () => import('./nbd/index.ts');

/** Pipes between two addresses; likewise. */
export const loadPipe = () => import('./pipe.ts');
/** Reading traces; likewise. */
export const loadViewer = () => import('./viewer/index.ts');

/** flexnbd's control socket; likewise. */
export const loadFlexnbd = () => import('./nbd/flexnbd/index.ts');
/** The live client: sessions of a relay, and one of them as frames; likewise. */
export const loadLive = () => import('./relay/live-client/index.ts');
