/** The room's door: the NBD protocol, newstyle and oldstyle, as both ends see it. */
export * from './flags.ts';
export * from './handshake.ts';
export * from './options.ts';
export * from './peer.ts';
export * from './replies.ts';
export * from './requests.ts';
