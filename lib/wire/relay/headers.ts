import { id, struct, u32, u64 } from '../../schema/index.ts';

/** 2^64 - 1 means "none" wherever the protocol has a sequence number or an optional counter. */
export const none = 2n ** 64n - 1n;

/** In front of every request on the control connection. Replies have no header. */
export const requestHeader = struct('requestHeader', [
  ['circuitId', u64, 'ignored, 0 when sent'],
  ['dataSizeBytes', u64, 'bytes', 'payload that follows'],
  ['command', u32, 'command code'],
  ['commandVersion', u32, 'ignored, 0 when sent'],
]);

/** In front of every packet on the data connection. */
export const dataHeader = struct('dataHeader', [
  ['circuitId', u64, 'ignored, 0 when sent'],
  ['streamId', id('stream'), 'relay handle'],
  ['netSeqNum', u64, 'packets sent'],
  ['dataSizeBytes', u32, 'bytes', 'packet that follows'],
  ['paddingSizeBytes', u32, 'bytes', 'zeros to append in the file, not transmitted'],
]);
