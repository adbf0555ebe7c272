/**
 * What two millrace programs say to each other beyond the protocol, in a migration. A destination says that it is one in
 * the reserved bytes of its oldstyle hello, which flexnbd sends as zeroes and no client reads; only where it did, the
 * source sends the commands below. So no other program ever sees them.
 */
import { bytes, constant, padding, struct, u16, u32, u64 } from '../../schema/index.ts';

/** "MILLRACE" */
export const peerMagic = 0x4d49_4c4c_5241_4345n;

/** At the beginning of the hello's reserved bytes. */
export const peerNote = struct('peerNote', [
  ['magic', constant(u64, peerMagic), 'MILLRACE'],
  ['version', constant(u16, 1), ''],
  ['connections', u16, '', 'that one mirror may open'],
  ['reserved', padding(4), 'zero'],
  ['owner', bytes(16), '', 'mirror that alone has written the image; zeroes: none'],
]);

/**
 * Types of request. JOIN must be the first; its reply says that everything of earlier attempts has ended. HASH is
 * answered like a READ, with `hashBytes` of SHA-256 over the range; WHERE with text that fills its length, zeroes behind.
 */
export const peerCommands = { join: 0x4d01, hash: 0x4d02, where: 0x4d03 } as const;

export const hashBytes = 32;

/** Bytes of WHERE's answer: where the disk will be served. */
export const whereBytes = 512;

/** Payload of JOIN. */
export const joinRequest = struct('joinRequest', [
  ['mirror', bytes(16), '', 'random, one a mirror'],
  [
    'attempt',
    u32,
    '',
    'counts the connections made anew; connections of one attempt stand beside each other',
  ],
]);
