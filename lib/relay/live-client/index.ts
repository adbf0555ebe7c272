/** The door of the live client. */
export { type ListedSession, listLiveSessions } from './list-sessions.ts';
export { liveSource } from './live-source.ts';
export type { LiveOptions, LiveSourceOptions } from './options.ts';
