/** GET_NEXT_INDEX, GET_PACKET, GET_METADATA. Where a reply has bytes behind it, they pass in parts: only its head is here. */
import { id, struct, u32, u64 } from '../../schema/index.ts';

export const getNextIndex = struct('getNextIndex', [['streamId', id('stream'), 'relay handle']]);

const index = [
  ['offsetBytes', u64, 'bytes', "in the stream's file"],
  ['packetSizeBits', u64, 'bits', 'padding included'],
  ['contentSizeBits', u64, 'bits'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles', 'inactive: until then nothing happened'],
  ['eventsDiscarded', u64, 'events', 'since the stream began'],
  ['streamClassId', u64, 'CTF stream class id'],
  ['status', u32, 'indexStatus'],
  ['flags', u32, 'viewerFlags'],
] as const;

/** Fields without meaning for the status are 0. */
export const getNextIndexReply = struct('getNextIndexReply', index);

/** `endOfFile` was never sent by any relay; it means what `hangUp` means. */
export const indexStatus = { ok: 1, retry: 2, hangUp: 3, error: 4, inactive: 5, endOfFile: 6 } as const;

export const getPacket = struct('getPacket', [
  ['streamId', id('stream'), 'relay handle'],
  ['offsetBytes', u64, 'bytes', 'in the file of the last index'],
  ['lengthBytes', u32, 'bytes'],
]);

/** `lengthBytes` bytes follow. */
export const getPacketReply = struct('getPacketReply', [
  ['status', u32, 'packetStatus'],
  ['lengthBytes', u32, 'bytes', 'data that follows'],
  ['flags', u32, 'viewerFlags', '0 since 2.6'],
]);

export const packetStatus = { ok: 1, retry: 2, error: 3, endOfFile: 4 } as const;

export const getMetadata = struct('getMetadata', [
  ['streamId', id('stream'), 'relay handle of the metadata stream'],
]);

/** `lengthBytes` bytes follow: whole metadata packets. */
export const getMetadataReply = struct('getMetadataReply', [
  ['lengthBytes', u64, 'bytes', 'metadata that follows'],
  ['status', u32, 'metadataStatus'],
]);

export const metadataStatus = { ok: 1, noNew: 2, error: 3 } as const;

/** Between millrace programs: as GET_NEXT_INDEX, but with all that an index file has, and what was missed. */
export const getNextRecordReply = struct('getNextRecordReply', [
  ...index,
  ['streamInstanceId', u64, 'CTF stream instance id', '2^64 - 1 = not known'],
  ['packetSeqNum', u64, 'packets produced', '2^64 - 1 = not known'],
  ['position', u64, 'packets of the stream before this one'],
  ['lostPackets', u64, 'packets', 'overwritten before this viewer read them'],
]);

/** Between millrace programs: the next packet is the one at `position`, or the first behind it that is still there. */
export const seekStream = struct('seekStream', [
  ['streamId', id('stream'), 'relay handle'],
  ['position', u64, 'packets, of a metadata stream bytes'],
]);

export const seekStreamReply = struct('seekStreamReply', [
  ['status', u32, 'seekStatus'],
  ['position', u64, 'packets', 'of a stream that has ended: all it ever had; else of no meaning'],
]);

/** `ended`: the stream was closed and is not shown any more. `error`: there was none. */
export const seekStatus = { ok: 1, error: 2, ended: 3 } as const;
