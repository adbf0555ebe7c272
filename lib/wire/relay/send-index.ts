import { id, struct, u64 } from '../../schema/index.ts';

/** packetSizeBits 0 is a live beacon: the stream had nothing to say until timestampEndCycles. */
const fields2_4 = [
  ['streamId', id('stream'), 'relay handle'],
  ['netSeqNum', u64, 'packets sent'],
  ['packetSizeBits', u64, 'bits', '0 = live beacon'],
  ['contentSizeBits', u64, 'bits'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['eventsDiscarded', u64, 'events'],
  ['streamClassId', u64, 'CTF stream class id'],
] as const;

export const sendIndex2_4 = struct('sendIndex2_4', fields2_4);

export const sendIndex2_8 = struct('sendIndex2_8', [
  ...fields2_4,
  ['streamInstanceId', u64, 'CTF stream instance id'],
  ['packetSeqNum', u64, 'packets produced', '2^64 - 1 = the tracer does not count'],
]);
