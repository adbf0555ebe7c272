/**
 * What a 2.13 producer says on its control connection, written by hand from the protocol's tables and without
 * `lib/wire`, so that the bench cannot inherit a mistake of the program it measures. Source: relay-protocol,
 * "Control framing" and "Commands in detail". Every function returns a buffer that the caller owns.
 */

/** Command codes that the bench sends. */
export const command = {
  addStream: 1,
  createSession: 2,
  version: 5,
  sendMetadata: 6,
  closeStream: 7,
  dataPending: 8,
  quiescentControl: 9,
  beginDataPending: 10,
  endDataPending: 11,
  sendIndex: 13,
  streamsSent: 16,
  rotateStreams: 18,
  createTraceChunk: 19,
  closeTraceChunk: 20,
} as const;

/** Bytes of a control request's header, and of an index request with it. */
export const requestHeaderBytes = 24;
export const indexRequestBytes = requestHeaderBytes + 80;

/** Bytes of the replies whose length is fixed; the paths of CREATE_SESSION and CLOSE_TRACE_CHUNK follow them. */
export const replyBytes = {
  version: 8,
  createSession: 16,
  addStream: 12,
  closeTraceChunk: 8,
  plain: 4,
} as const;

/** Where every session of the bench puts its streams, relative to the trace chunk. */
export const tracePath = 'ust/uid/0/64-bit';

/** `code`: command; `payload`: its bytes. */
export function request(code: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(requestHeaderBytes + payload.length);
  message.writeBigUInt64BE(BigInt(payload.length), 8);
  message.writeUInt32BE(code, 16);
  payload.copy(message, requestHeaderBytes);
  return message;
}

export function version(): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(2, 0);
  payload.writeUInt32BE(13, 4);
  return request(command.version, payload);
}

/** `sessionNumber`: distinguishes the sessions of one run, for the relay as the sessiond's session id. */
export function createSession(
  name: string,
  hostname: string,
  sessionNumber: number,
  liveTimerUs = 0,
): Buffer {
  const names = Buffer.from(`${name}\0${hostname}\0\0`);
  const fixed = Buffer.alloc(59);
  fixed.writeUInt32BE(name.length + 1, 0);
  fixed.writeUInt32BE(hostname.length + 1, 4);
  fixed.writeUInt32BE(1, 8);
  fixed.writeUInt32BE(liveTimerUs, 12);
  fixed.fill(0x5a, 18, 34);
  fixed.writeBigUInt64BE(BigInt(sessionNumber), 34);
  fixed.writeBigUInt64BE(1_700_000_000n, 42);
  return request(command.createSession, Buffer.concat([fixed, names]));
}

/** When chunk `id` of the bench's sessions begins, seconds since 1970; the one before it ends then. */
function chunkBeginS(id: number): bigint {
  return 1_700_000_000n + BigInt(id);
}

export function createTraceChunk(id = 0): Buffer {
  const payload = Buffer.alloc(20);
  payload.writeBigUInt64BE(BigInt(id), 0);
  payload.writeBigUInt64BE(chunkBeginS(id), 8);
  return request(command.createTraceChunk, payload);
}

/** All `handles` go over to `chunk` at the packet whose packet_seq_num is `at`. */
export function rotateStreams(chunk: number, handles: readonly number[], at: number): Buffer {
  const payload = Buffer.alloc(20 + 16 * handles.length);
  payload.writeUInt32BE(handles.length, 0);
  payload.writeUInt8(1, 4);
  payload.writeBigUInt64BE(BigInt(chunk), 12);
  for (const [i, handle] of handles.entries()) {
    payload.writeBigUInt64BE(BigInt(handle), 20 + 16 * i);
    payload.writeBigUInt64BE(BigInt(at), 28 + 16 * i);
  }
  return request(command.rotateStreams, payload);
}

/** Chunk `id` is complete: it goes to the archives. */
export function closeTraceChunk(id: number): Buffer {
  const payload = Buffer.alloc(21);
  payload.writeBigUInt64BE(BigInt(id), 0);
  payload.writeBigUInt64BE(chunkBeginS(id + 1), 8);
  payload.writeUInt8(1, 16);
  return request(command.closeTraceChunk, payload);
}

/** A channel's limited tracefiles: their size in bytes, and how many before the first is overwritten. */
export interface Ring {
  sizeBytes: number;
  count: number;
}

/** `ring` undefined: one tracefile without limit. */
export function addStream(name: string, ring?: Ring): Buffer {
  const fixed = Buffer.alloc(32);
  fixed.writeUInt32BE(name.length + 1, 0);
  fixed.writeUInt32BE(tracePath.length + 1, 4);
  fixed.writeBigUInt64BE(BigInt(ring?.sizeBytes ?? 0), 8);
  fixed.writeBigUInt64BE(BigInt(ring?.count ?? 0), 16);
  return request(command.addStream, Buffer.concat([fixed, Buffer.from(`${name}\0${tracePath}\0`)]));
}

export function streamsSent(): Buffer {
  return request(command.streamsSent, Buffer.alloc(0));
}

/** `padding`: zero bytes that the relay appends by itself. */
export function sendMetadata(handle: number, text: Buffer, padding: number): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeBigUInt64BE(BigInt(handle), 0);
  fixed.writeUInt32BE(padding, 8);
  return request(command.sendMetadata, Buffer.concat([fixed, text]));
}

/** A command whose whole payload is u64 values: session ids, stream handles, sequence numbers. */
export function numbers(code: number, ...values: bigint[]): Buffer {
  const payload = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) payload.writeBigUInt64BE(value, 8 * i);
  return request(code, payload);
}

/** The "no packet at all" of sequence numbers. Source: relay-protocol, "Three numbers". */
export const noSequenceNumber = 0xffff_ffff_ffff_ffffn;
