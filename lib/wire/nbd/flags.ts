/** Bits. Source: nbd-migration, B.2, B.6-B.9; the NBD protocol document, "Values". */

/** What the server offers in its greeting, and what the client takes of it. */
export const handshakeFlags = { fixedNewstyle: 0x0001, noZeroes: 0x0002 } as const;

/** What an export can do. */
export const transmissionFlags = {
  hasFlags: 0x0001,
  readOnly: 0x0002,
  sendFlush: 0x0004,
  sendFua: 0x0008,
  rotational: 0x0010,
  sendTrim: 0x0020,
  sendWriteZeroes: 0x0040,
  /** Only once structured replies are agreed. */
  sendDf: 0x0080,
  canMultiConn: 0x0100,
  /** Experimental; this server never sets it. */
  sendResize: 0x0200,
  sendCache: 0x0400,
  /** Only together with `sendWriteZeroes`. */
  sendFastZero: 0x0800,
  /** Only with extended headers. */
  blockStatusPayload: 0x1000,
} as const;

/** Flags of a request. */
export const commandFlags = {
  /** Answer when it is durable. */
  fua: 0x0001,
  /** WRITE_ZEROES: allocate. */
  noHole: 0x0002,
  /** READ: one piece, holes as zeroes. */
  df: 0x0004,
  /** BLOCK_STATUS: one extent, not beyond the request. */
  reqOne: 0x0008,
  /** WRITE_ZEROES: fail unless it is faster than writing. */
  fastZero: 0x0010,
  /** Extended headers: the length is that of a payload. */
  payloadLength: 0x0020,
} as const;

/** Flags of a reply chunk. */
export const chunkFlags = { done: 0x0001 } as const;

/** Status of an extent in `base:allocation`; 0 is data, or not known. */
export const allocationStatus = { hole: 1, zero: 2 } as const;
