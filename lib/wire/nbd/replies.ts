/** Replies of the transmission phase. Source: nbd-migration, A.3, A.5, B.8, B.9, B.11, B.12. */
import { limits } from '../../limits.ts';
import { constant, struct, text, u16, u32, u64 } from '../../schema/index.ts';

export const simpleReplyMagic = 0x6744_6698;
export const chunkMagic = 0x668e_33ef;
export const extendedChunkMagic = 0x6e8a_278c;

export const simpleReply = struct('simpleReply', [
  ['magic', constant(u32, simpleReplyMagic), ''],
  ['error', u32, 'nbdErrors', '0 = done'],
  ['cookie', u64, 'opaque'],
]);

/** In front of every chunk of a structured reply. */
export const chunkHeader = struct('chunkHeader', [
  ['magic', constant(u32, chunkMagic), ''],
  ['flags', u16, 'chunkFlags'],
  ['type', u16, 'chunkTypes'],
  ['cookie', u64, 'opaque'],
  ['payloadSizeBytes', u32, 'bytes'],
]);

/** The same once extended headers are agreed. */
export const extendedChunkHeader = struct('extendedChunkHeader', [
  ['magic', constant(u32, extendedChunkMagic), ''],
  ['flags', u16, 'chunkFlags'],
  ['type', u16, 'chunkTypes'],
  ['cookie', u64, 'opaque'],
  ['offset', u64, 'bytes', 'of the request'],
  ['payloadSizeBytes', u64, 'bytes'],
]);

/** Types of chunks; bit 15 marks errors. */
export const chunkTypes = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  blockStatusExt: 6,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** Whether a chunk type says that the request failed. */
export const isErrorChunk = (type: number): boolean => type >= 0x8000;

/** In front of the data of an OFFSET_DATA chunk. */
export const offsetData = struct('offsetData', [['offset', u64, 'bytes', 'absolute']]);

export const offsetHole = struct('offsetHole', [
  ['offset', u64, 'bytes', 'absolute'],
  ['length', u32, 'bytes', 'not 0'],
]);

/** In front of the extents of a BLOCK_STATUS chunk. */
export const blockStatus = struct('blockStatus', [['contextId', u32, '']]);

export const blockExtent = struct('blockExtent', [
  ['length', u32, 'bytes', 'not 0'],
  ['status', u32, 'allocationStatus'],
]);

/** In front of the extents of a BLOCK_STATUS_EXT chunk. */
export const blockStatusExt = struct('blockStatusExt', [
  ['contextId', u32, ''],
  ['count', u32, '', 'extents that follow'],
]);

export const blockExtentExt = struct('blockExtentExt', [
  ['length', u64, 'bytes', 'not 0'],
  ['status', u64, 'allocationStatus'],
]);

export const errorChunk = struct('errorChunk', [
  ['error', u32, 'nbdErrors', 'not 0'],
  ['messageLength', u16, 'bytes'],
  ['message', text('messageLength', { max: limits.nbdStringBytes }), 'text', 'for people'],
]);

export const errorOffsetChunk = struct('errorOffsetChunk', [
  ...errorChunk.fields,
  ['offset', u64, 'bytes', 'where it failed'],
]);

/** Values of `error`. The names are those of errno(3). */
export const nbdErrors = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  /** Not of the protocol: what flexnbd answers to a wrong magic. Source: nbd-migration, A.5. */
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

export type NbdErrorName = keyof typeof nbdErrors;

/** The name of an error value, or its number. */
export function nbdErrorName(error: number): string {
  const found = Object.entries(nbdErrors).find(([, value]) => value === error);
  return found?.[0] ?? `error ${error}`;
}
