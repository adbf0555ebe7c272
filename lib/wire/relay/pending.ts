/** START_DATA, DATA_PENDING and the commands around it. Their replies are 0 or 1, not return codes. */
import { id, struct, u64 } from '../../schema/index.ts';

/** No producer sends it. */
export const startData = struct('startData', []);

export const dataPending = struct('dataPending', [
  ['streamId', id('stream'), 'relay handle'],
  ['lastNetSeqNum', u64, 'packets sent', '2^64 - 1 = none was'],
]);

export const quiescentControl = struct('quiescentControl', [['streamId', id('stream'), 'relay handle']]);

export const beginDataPending = struct('beginDataPending', [
  ['sessionId', id('session'), 'relay session id'],
]);

export const endDataPending = struct('endDataPending', [['sessionId', id('session'), 'relay session id']]);
