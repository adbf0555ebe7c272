/** The public door: what programs and the command line import. */
export { type DiskStatusSample, formatDiskStatus, isDiskStatus } from './admin/disk-status.ts';
export { type Log, type LogFormat, type LogOptions, levels, openLog } from './admin/log.ts';
export { formatStatus, type StatusSample } from './admin/status.ts';
export { textTable } from './admin/table.ts';
export type * from './capture/index.ts';
export { makeDirectory } from './disk/directories.ts';
export type * from './disk/verify/index.ts';
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
export * from './start.ts';
export type * from './viewer/index.ts';
