/**
 * What a viewer says, as babeltrace2 does, written by hand from the protocol's tables and without `lib/wire`. Source:
 * live-protocol, "Commands". Every function returns a buffer that the caller owns.
 */

/** Bytes of the replies, or of their heads. */
export const viewerReplyBytes = {
  connect: 20,
  created: 4,
  streams: 8,
  stream: 4371,
  index: 64,
  bytes: 12,
} as const;

/** Status of index replies. */
export const indexOk = 1;

/** The most that babeltrace2 asks for at a time. */
export const pieceBytes = 262_144;

function viewerRequest(code: number, payloadBytes: number): Buffer {
  const message = Buffer.alloc(16 + payloadBytes);
  message.writeBigUInt64BE(BigInt(payloadBytes), 0);
  message.writeUInt32BE(code, 8);
  return message;
}

export function connectViewer(): Buffer {
  const message = viewerRequest(1, 20);
  message.fill(0xff, 16, 24);
  message.writeUInt32BE(2, 24);
  message.writeUInt32BE(4, 28);
  message.writeUInt32BE(1, 32);
  return message;
}

export const createViewerSession = (): Buffer => viewerRequest(8, 0);

/** `seek`: 1 from the beginning, 2 from now. */
export function attach(session: number, seek: 1 | 2): Buffer {
  const message = viewerRequest(3, 20);
  message.writeBigUInt64BE(BigInt(session), 16);
  message.writeUInt32BE(seek, 32);
  return message;
}

export function nextIndex(stream: number): Buffer {
  const message = viewerRequest(4, 8);
  message.writeBigUInt64BE(BigInt(stream), 16);
  return message;
}

export function getPacket(stream: number): Buffer {
  const message = viewerRequest(5, 20);
  message.writeBigUInt64BE(BigInt(stream), 16);
  return message;
}

/** Writes what changes from one GET_PACKET to the next. */
export function aim(message: Buffer, offset: number, bytes: number): Buffer {
  message.writeBigUInt64BE(BigInt(offset), 24);
  message.writeUInt32BE(bytes, 32);
  return message;
}

export function getMetadata(stream: number): Buffer {
  const message = viewerRequest(6, 8);
  message.writeBigUInt64BE(BigInt(stream), 16);
  return message;
}
