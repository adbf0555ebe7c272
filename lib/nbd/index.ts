/** The room's door: disks that are served, read, written and copied. */
export { Image, type ImageOptions } from '../disk/image.ts';
export { AccessList } from './acl.ts';
export { NbdClient } from './client/client.ts';
export type { NbdClientOptions } from './client/dial-server.ts';
export {
  clientOptionsOf,
  describeExport,
  type OpenDisk,
  openExport,
  openImage,
  readText,
} from './client/open.ts';
export { type CopyOptions, type CopyProgress, copyDisk } from './copy.ts';
export { checkPart, type PartOptions, readPart, writePart } from './copy-stream.ts';
export type { Disk } from './disk.ts';
export type { Export } from './export.ts';
export {
  incompletePath,
  type ListenerOptions,
  MigrationListener,
  type Received,
} from './migration/listener.ts';
export { Mirror } from './migration/mirror.ts';
export type { HandedOver, MirrorAction, MirrorOptions } from './migration/options.ts';
export { isEnd, type MirrorFigures, type MirrorHappening } from './migration/progress.ts';
export { mirrorOf, mirrorOfExport } from './migration/server-door.ts';
export { NbdProxy, type ProxyOptions, type ProxyStatus } from './proxy/proxy.ts';
export { parsePskFile } from './psk.ts';
export type { SessionEnd } from './server/connection.ts';
export { NbdServer, type NbdServerOptions } from './server/server.ts';
export type { NbdServerStatus } from './server/status.ts';
export type { ServerTlsOptions } from './server/tls.ts';
export { windowOf } from './window.ts';
