/** What the records of a frame log say, one layout a kind. Bytes behind the last field belong to later versions. */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import {
  flag,
  list,
  optional,
  optionalString,
  rest,
  sizedString,
  struct,
  u8,
  u16,
  u32,
  u64,
} from '../schema/index.ts';

const pathBytes = 4095;

/** Values of the one-byte fields. */
export const outcomes = { end: 0, abort: 1 } as const;
export const traceFormats = { 'ctf-1.8': 1, 'ctf-2': 2 } as const;
export const chunkActions = { none: 0, moveToCompleted: 1, delete: 2 } as const;
export const connectionRoles = { control: 1, data: 2, live: 3, nbd: 4, other: 5 } as const;
export const directions = { toServer: 1, fromServer: 2 } as const;
export const fileRoles = { data: 1, metadata: 3 } as const;

/** The name of a one-byte value. Throws MR_ERR_WIRE_VALUE for one that the table lacks. */
export function nameIn<N extends string>(table: Readonly<Record<N, number>>, got: number, what: string): N {
  const name = (Object.keys(table) as N[]).find((key) => table[key] === got);
  if (name !== undefined) return name;
  const expected = Object.values(table).join(', ');
  throw new MillraceError('MR_ERR_WIRE_VALUE', { what, field: 'code', got, expected });
}

// Frames: as in lib/stage/frames.ts

export const sessionOpenBody = struct('sessionOpen', [
  ['session', u32, 'handle of the source'],
  ['minor', u8, 'protocol minor'],
  ['traceFormat', u8, '1 = CTF 1.8, 2 = CTF 2'],
  ['snapshot', flag(u8), '0/1'],
  ['nameHasCreationTime', flag(u8), '0/1'],
  ['liveTimerUs', u32, 'µs, 0 = not live'],
  ['idSessiond', optional(u64), 'id given by the session daemon'],
  ['creationTimeS', optional(u64), 's since 1970'],
  ['hostnameLength', u16, 'bytes with NUL'],
  ['sessionNameLength', u16, 'bytes with NUL'],
  ['sessiondUuidLength', u16, 'bytes with NUL'],
  ['basePathLength', u16, 'bytes with NUL'],
  ['hostname', sizedString('hostnameLength', { max: limits.hostnameLength }), ''],
  ['sessionName', sizedString('sessionNameLength', { max: limits.sessionNameLength }), ''],
  ['sessiondUuid', sizedString('sessiondUuidLength', { max: 32 }), 'hexadecimal, or empty'],
  ['basePath', sizedString('basePathLength', { max: limits.basePathLength }), ''],
]);

export const sessionEndBody = struct('sessionEnd', [
  ['session', u32, ''],
  ['outcome', u8, '0 end, 1 abort'],
]);

export const streamOpenBody = struct('streamOpen', [
  ['session', u32, ''],
  ['stream', u32, 'handle of the source'],
  ['tracefileSizeBytes', u64, 'bytes, 0 = unlimited'],
  ['tracefileCount', u64, ''],
  ['channelNameLength', u16, 'bytes with NUL'],
  ['pathLength', u16, 'bytes with NUL'],
  ['channelName', sizedString('channelNameLength', { max: limits.channelNameLength }), ''],
  ['path', sizedString('pathLength', { max: pathBytes }), ''],
]);

export const streamEndBody = struct('streamEnd', [
  ['session', u32, ''],
  ['stream', u32, ''],
  ['lastNetSeqNum', optional(u64), 'unset: nothing was sent'],
]);

export const publishedBody = struct('published', [['session', u32, '']]);

export const metadataBody = struct('metadata', [
  ['session', u32, ''],
  ['stream', u32, ''],
  ['version', u32, '+1 with each regeneration'],
  ['paddingSizeBytes', u32, 'bytes'],
  ['last', flag(u8), 'end of a metadata command'],
  ['bytes', rest, ''],
]);

export const dataBody = struct('data', [
  ['stream', u32, ''],
  ['netSeqNum', u64, ''],
  ['offsetBytes', u64, 'bytes from the start of the packet'],
  ['dataSizeBytes', u32, 'bytes', 'of the packet, in all its parts, without padding'],
  ['paddingSizeBytes', u32, 'bytes'],
  ['last', flag(u8), 'end of the packet'],
  ['bytes', rest, ''],
]);

export const indexBody = struct('index', [
  ['stream', u32, ''],
  ['netSeqNum', u64, ''],
  ['packetSizeBits', u64, 'bits'],
  ['contentSizeBits', u64, 'bits'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['eventsDiscarded', u64, 'running counter'],
  ['streamClassId', u64, ''],
  ['streamInstanceId', optional(u64), 'since producers of 2.8'],
  ['packetSeqNum', optional(u64), 'since producers of 2.8'],
  ['metadataPositionBytes', u64, 'bytes of metadata known when it came'],
]);

export const lostBody = struct('lost', [
  ['stream', u32, ''],
  ['netSeqNum', u64, ''],
  ['causeLength', u16, 'bytes with NUL'],
  ['announced', u8, '0 or 1 index'],
  ['cause', sizedString('causeLength', { max: 4095 }), ''],
  ['index', list('announced', indexBody, { max: 1 }), ''],
]);

export const safeStream = struct('safeStream', [
  ['stream', u32, ''],
  ['netSeqNum', u64, 'last number that may be read'],
]);

export const syncBody = struct('sync', [
  ['session', u32, ''],
  ['streamCount', u32, ''],
  ['safe', list('streamCount', safeStream, { max: limits.streamsPerSession }), ''],
]);

export const inactiveBody = struct('inactive', [
  ['stream', u32, ''],
  ['netSeqNum', u64, ''],
  ['streamClassId', u64, ''],
  ['timestampEndCycles', u64, 'cycles'],
]);

export const chunkOpenBody = struct('chunkOpen', [
  ['session', u32, ''],
  ['chunk', u64, ''],
  ['creationTimeS', u64, 's since 1970'],
  ['overrideNameLength', u16, 'bytes with NUL, 0 = none'],
  ['overrideName', optionalString('overrideNameLength', { max: limits.chunkNameLength }), ''],
]);

export const switchBody = struct('switch', [
  ['stream', u32, ''],
  ['atPacketSeqNum', u64, ''],
  ['chunk', optional(u64), 'unset: to no chunk'],
]);

export const chunkDoneBody = struct('chunkDone', [
  ['session', u32, ''],
  ['chunk', u64, ''],
  ['closeTimeS', u64, 's since 1970'],
  ['action', u8, '0 none, 1 move to completed, 2 delete'],
]);

// Conversation: what two programs said to each other

export const connectionOpenBody = struct('connectionOpen', [
  ['connection', u32, 'number, from 0 in order of acceptance'],
  ['role', u8, '1 control, 2 data, 3 live, 4 nbd, 5 other'],
  ['peerLength', u16, 'bytes with NUL'],
  ['peer', sizedString('peerLength', { max: 255 }), 'address of who connected'],
]);

export const bytesBody = struct('bytes', [
  ['connection', u32, ''],
  ['direction', u8, '1 to the server, 2 from it'],
  ['bytes', rest, ''],
]);

export const connectionEndBody = struct('connectionEnd', [
  ['connection', u32, ''],
  ['direction', u8, '1 to the server, 2 from it'],
  ['outcome', u8, '0 end, 1 abort'],
]);

// Journal: what a relay has open

export const fileOpenedBody = struct('fileOpened', [
  ['file', u32, 'number, never used again in one journal'],
  ['chunk', u32, 'trace chunk in which it lies'],
  ['role', u8, '1 data, 3 metadata'],
  ['pathLength', u16, 'bytes with NUL'],
  ['indexPathLength', u16, 'bytes with NUL, 0 = none'],
  ['path', sizedString('pathLength', { max: pathBytes }), 'relative to the chunk'],
  ['indexPath', optionalString('indexPathLength', { max: pathBytes }), 'index file of a data file'],
]);

export const fileCommittedBody = struct('fileCommitted', [
  ['file', u32, ''],
  ['committedBytes', u64, 'end of the last whole metadata command or packet'],
]);

export const fileClosedBody = struct('fileClosed', [['file', u32, '']]);

export const chunkMadeBody = struct('chunkMade', [
  ['chunk', u32, 'number, never used again in one journal'],
  ['sessionPathLength', u16, 'bytes with NUL'],
  ['pathLength', u16, 'bytes with NUL'],
  ['homeLength', u16, 'bytes with NUL'],
  ['nameLength', u16, 'bytes with NUL'],
  ['sessionPath', sizedString('sessionPathLength', { max: pathBytes }), 'relative to the output directory'],
  ['path', sizedString('pathLength', { max: pathBytes }), 'where it lies, relative to the session'],
  ['home', sizedString('homeLength', { max: pathBytes }), 'where it lies if nothing becomes of it, likewise'],
  ['name', sizedString('nameLength', { max: pathBytes }), 'one that nobody else has'],
]);

export const chunkDirectoryBody = struct('chunkDirectory', [
  ['chunk', u32, ''],
  ['pathLength', u16, 'bytes with NUL'],
  ['path', sizedString('pathLength', { max: pathBytes }), 'relative to the chunk'],
]);

export const moveBegunBody = struct('moveBegun', [
  ['chunk', u32, ''],
  ['toLength', u16, 'bytes with NUL'],
  ['to', sizedString('toLength', { max: pathBytes }), 'relative to the session'],
]);

export const moveDoneBody = struct('moveDone', [['chunk', u32, '']]);

export const chunkClosedBody = struct('chunkClosed', [
  ['chunk', u32, ''],
  ['action', u8, '0 none, 1 move to completed, 2 delete'],
  ['archiveLength', u16, 'bytes with NUL'],
  ['archive', sizedString('archiveLength', { max: pathBytes }), 'its final place, relative to the session'],
]);

export const chunkGoneBody = struct('chunkGone', [['chunk', u32, '']]);
