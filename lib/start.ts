/**
 * What every command needs before it knows what it has to do; the rest is loaded when somebody asks for it. Part of the
 * public door, and apart from it only because the rest takes longer to load than a view to print its first event.
 */
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
export { type Level, type Told, tell, toldChannel } from './telemetry.ts';
export { version } from './version.ts';

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

/** Printing the events of finished traces as text, which is part of `loadViewer`, as are the next three; likewise. */
export const loadPrinter = () => import('./viewer/print.ts');
export const loadJsonFormat = () => import('./viewer/json/json-format.ts');
export const loadSelection = () => import('./viewer/selection.ts');
export const loadStats = () => import('./viewer/stats.ts');

/** Reading traces; likewise. */
export const loadViewer = () => import('./viewer/index.ts');

/** flexnbd's control socket; likewise. */
export const loadFlexnbd = () => import('./nbd/flexnbd/index.ts');
/** The live client: sessions of a relay, and one of them as frames; likewise. */
export const loadLive = () => import('./relay/live-client/index.ts');
