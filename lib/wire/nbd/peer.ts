/**
 * What two millrace programs say to each other beyond the protocol, in a migration. A destination says that it is one in
 * the reserved bytes of its oldstyle hello, which flexnbd sends as zeroes and no client reads; only where it did, the
 * source sends the commands below. So no other program ever sees them.
 */
import { constant, padding, struct, u16, u64 } from '../../schema/index.ts';

/** "MILLRACE" */
export const peerMagic = 0x4d49_4c4c_5241_4345n;

/** At the beginning of the hello's reserved bytes. */
export const peerNote = struct('peerNote', [
  ['magic', constant(u64, peerMagic), 'MILLRACE'],
  ['version', constant(u16, 1), ''],
  ['connections', u16, '', 'that one mirror may open'],
  ['reserved', padding(4), 'zero'],
  ['owner', u64, '', 'mirror that alone has written the image; 0: none'],
]);

/**
 * Types of request. JOIN must be a connection's first: its offset is the mirror's number, random and below 2^48, its length
 * counts that mirror's attempts; the reply says that everything of earlier attempts has ended, connections of one attempt
 * stand beside each other. HASH is answered like a READ, with `hashBytes` of SHA-256 over the range; WHERE with text that
 * fills its length, zeroes behind.
 */
export const peerCommands = { join: 0x4d01, hash: 0x4d02, where: 0x4d03 } as const;

export const hashBytes = 32;

/** Bytes of WHERE's answer: where the disk will be served. */
export const whereBytes = 512;
