/** Between two millrace relays, one of which forwards to the other: what is stored, what is lost, and the way on. */
import { limits } from '../../limits.ts';
import { flag, sizedString, struct, u8, u16, u32, u64 } from '../../schema/index.ts';

const pathBytes = 4095;

/** LAST_STORED: the last packet of a stream that lies in a session's directory, once nobody writes there any more. */
export const lastStored = struct('lastStored', [
  ['sessionPathLength', u16, 'bytes with NUL'],
  ['streamPathLength', u16, 'bytes with NUL'],
  ['channelNameLength', u16, 'bytes with NUL'],
  [
    'sessionPath',
    sizedString('sessionPathLength', { max: pathBytes }),
    'text',
    'as CREATE_SESSION answered it',
  ],
  ['streamPath', sizedString('streamPathLength', { max: pathBytes }), 'text', 'as ADD_STREAM named it'],
  ['channelName', sizedString('channelNameLength', { max: limits.channelNameLength }), 'text'],
]);

export const lastStoredReply = struct('lastStoredReply', [
  ['ret', u32, 'return code'],
  ['busy', flag(u8), 'boolean', 'the session is being closed: ask again'],
  ['found', flag(u8), 'boolean', 'a packet is stored'],
  ['packetSizeBits', u64, 'bits', 'of that packet, as its index record has it'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['packetSeqNum', u64, 'packets produced'],
]);

/** PACKET_LOST: a packet that will never come, with its announced record. */
export const packetLost = struct('packetLost', [
  ['streamId', u64, 'relay handle'],
  ['netSeqNum', u64, 'packets sent'],
  ['packetSizeBits', u64, 'bits'],
  ['contentSizeBits', u64, 'bits'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['eventsDiscarded', u64, 'events'],
  ['streamClassId', u64, 'CTF stream class id'],
  ['streamInstanceId', u64, 'CTF stream instance id'],
  ['packetSeqNum', u64, 'packets produced'],
  ['causeLength', u16, 'bytes with NUL'],
  ['cause', sizedString('causeLength', { max: 255 }), 'text'],
]);

/** FORWARD_TO: the session of this connection goes on to another relay; before CREATE_SESSION. */
export const forwardTo = struct('forwardTo', [
  ['uriLength', u16, 'bytes with NUL'],
  [
    'uri',
    sizedString('uriLength', { max: pathBytes }),
    'text',
    'with further hops in front, if there are any',
  ],
]);
