/**
 * The oldstyle protocol as flexnbd 0.5.0 speaks it, written by hand from captured bytes: a hello of a 1 MiB file was
 * `4e42444d41474943 0000420281861253 0000000000100000 0000000d` and 124 zeroes. Source: nbd-migration, A.
 */

export const helloBytes = 152;
export const requestBytes = 28;
export const replyBytes = 16;

export const types = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6 } as const;

/** `flags`: 0x0d is what flexnbd sends. */
export function hello(sizeBytes: number, flags = 0x0d): Buffer {
  const bytes = Buffer.alloc(helloBytes);
  bytes.write('4e42444d414749430000420281861253', 'hex');
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 16);
  bytes.writeUInt32BE(flags, 24);
  return bytes;
}

export interface Request {
  magic: number;
  flags: number;
  type: number;
  cookie: Buffer;
  offset: number;
  length: number;
}

export function request(type: number, offset: number | bigint, length: number, magic = 0x25609513): Buffer {
  const bytes = Buffer.alloc(requestBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.write('.MIRROR.', 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

export function readRequest(bytes: Buffer): Request {
  return {
    magic: bytes.readUInt32BE(0),
    flags: bytes.readUInt16BE(4),
    type: bytes.readUInt16BE(6),
    cookie: Buffer.from(bytes.subarray(8, 16)),
    offset: Number(bytes.readBigUInt64BE(16)),
    length: bytes.readUInt32BE(24),
  };
}

export function reply(cookie: Buffer, error = 0, magic = 0x67446698): Buffer {
  const bytes = Buffer.alloc(replyBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt32BE(error, 4);
  cookie.copy(bytes, 8);
  return bytes;
}
