/** The first bytes of both styles. Source: nbd-migration, A.1, B.2, B.3 (EXPORT_NAME). */
import { constant, padding, struct, u16, u32, u64 } from '../../schema/index.ts';

/** "NBDMAGIC", the first eight bytes of every server. */
export const nbdMagic = 0x4e42444d41474943n;
/** Behind it in oldstyle: the export follows at once. */
export const oldstyleMagic = 0x0000_4202_8186_1253n;
/** "IHAVEOPT", behind it in newstyle: options follow. Every option of a client begins with it too. */
export const optionMagic = 0x49484156454f5054n;

/** What tells a client which style the server has. */
export const greetingHead = struct('greetingHead', [
  ['magic', constant(u64, nbdMagic), 'NBDMAGIC'],
  ['style', u64, 'oldstyleMagic or optionMagic'],
]);

/** All that an oldstyle server says before it serves; flexnbd's one style. */
export const oldstyleHello = struct('oldstyleHello', [
  ['magic', constant(u64, nbdMagic), 'NBDMAGIC'],
  ['style', constant(u64, oldstyleMagic), ''],
  ['sizeBytes', u64, 'bytes'],
  ['handshakeFlags', u16, 'zero'],
  ['transmissionFlags', u16, 'transmissionFlags'],
  ['reserved', padding(124), 'zero'],
]);

export const newstyleGreeting = struct('newstyleGreeting', [
  ['magic', constant(u64, nbdMagic), 'NBDMAGIC'],
  ['style', constant(u64, optionMagic), 'IHAVEOPT'],
  ['handshakeFlags', u16, 'handshakeFlags'],
]);

/** The client's answer to it. */
export const clientGreeting = struct('clientGreeting', [['clientFlags', u32, 'handshakeFlags']]);

const sizeAndFlags = [
  ['sizeBytes', u64, 'bytes'],
  ['transmissionFlags', u16, 'transmissionFlags'],
] as const;

/** The answer to EXPORT_NAME, where `noZeroes` is agreed. */
export const exportNameReply = struct('exportNameReply', sizeAndFlags);

/** The same where it is not. */
export const exportNameReplyPadded = struct('exportNameReplyPadded', [
  ...sizeAndFlags,
  ['reserved', padding(124), 'zero'],
]);
