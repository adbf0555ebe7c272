/** Between two millrace relays, one of which forwards to the other: what is stored, what is lost, and the way on. */
import { limits } from '../../limits.ts';
import {
  bytes,
  flag,
  id,
  optionalString,
  sizedString,
  struct,
  u8,
  u16,
  u32,
  u64,
} from '../../schema/index.ts';

const pathBytes = 4095;

/** What becomes of a session with a token: it cannot be taken up here, is new, or goes on where it was left. */
export const resumeStates = { never: 0, new: 1, known: 2 } as const;

/**
 * RESUME_SESSION: the session that this connection will create has this token, and goes on with what is stored of it;
 * a connection that it had before is ended here. Before CREATE_SESSION.
 */
export const resumeSession = struct('resumeSession', [
  ['token', bytes(16), 'random', 'the same whenever the session is taken up again'],
  ['afresh', flag(u8), 'boolean', 'what is stored is replaced'],
]);

export const resumeSessionReply = struct('resumeSessionReply', [
  ['ret', u32, 'return code'],
  ['busy', flag(u8), 'boolean', 'the session is being closed: ask again'],
  ['state', u8, 'resumeStates'],
  ['sessionPathLength', u32, 'bytes with NUL', '0: nothing is known of it'],
  [
    'sessionPath',
    optionalString('sessionPathLength', { max: limits.replyPathBytes - 2 }),
    'text',
    'where it was stored until now; relative to the output directory',
  ],
]);

/** LAST_STORED: the last packet of a stream that lies in a session's directory. */
export const lastStored = struct('lastStored', [
  ['sessionPathLength', u16, 'bytes with NUL'],
  ['streamPathLength', u16, 'bytes with NUL'],
  ['channelNameLength', u16, 'bytes with NUL'],
  [
    'sessionPath',
    optionalString('sessionPathLength', { max: pathBytes }),
    'text',
    'as CREATE_SESSION answered it; empty before 2.11',
  ],
  ['streamPath', sizedString('streamPathLength', { max: pathBytes }), 'text', 'as ADD_STREAM named it'],
  ['channelName', sizedString('channelNameLength', { max: limits.channelNameLength }), 'text'],
]);

export const lastStoredReply = struct('lastStoredReply', [
  ['ret', u32, 'return code'],
  ['found', flag(u8), 'boolean', 'a packet is stored'],
  ['packetSizeBits', u64, 'bits', 'of that packet, as its index record has it'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['packetSeqNum', u64, 'packets produced'],
]);

/** PACKET_LOST: a packet that will never come, with its announced record. */
export const packetLost = struct('packetLost', [
  ['streamId', id('stream'), 'relay handle'],
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
