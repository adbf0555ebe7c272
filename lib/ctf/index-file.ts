/**
 * Index files: a header, then one record a packet, big endian whatever the trace's byte order. Source:
 * relay-protocol, "Index file"; CTF reading by babeltrace2.
 */

import { constant, type Struct, struct, u32, u64, type Value } from '../schema/index.ts';
import type { PacketHeader } from './packet-header.ts';

const magic = 0xc1f1dcc1;

/** Readers step by `recordSizeBytes`: a later minor appends fields to the record. */
export const indexFileHeader = struct('indexFileHeader', [
  ['magic', constant(u32, magic), 'c1f1dcc1'],
  ['major', u32, 'major version', '1'],
  ['minor', u32, 'minor version', '0 or 1'],
  ['recordSizeBytes', u32, 'bytes'],
]);

const fields1_0 = [
  ['offsetBytes', u64, 'bytes', 'of the packet in its tracefile; 2^64 - 1 = lost'],
  ['packetSizeBits', u64, 'bits'],
  ['contentSizeBits', u64, 'bits'],
  ['timestampBeginCycles', u64, 'cycles'],
  ['timestampEndCycles', u64, 'cycles'],
  ['eventsDiscarded', u64, 'events'],
  ['streamClassId', u64, 'CTF stream class id'],
] as const;

export const indexRecord1_0 = struct('indexRecord1_0', fields1_0);

export const indexRecord1_1 = struct('indexRecord1_1', [
  ...fields1_0,
  ['streamInstanceId', u64, 'CTF stream instance id'],
  ['packetSeqNum', u64, 'packets produced', '2^64 - 1 = the tracer does not count'],
]);

/** The offset of a packet that will never come. */
export const lostOffsetBytes = 2n ** 64n - 1n;

/** A record of either version: 1.0 lacks the last two fields. */
export type IndexRecord = Value<typeof indexRecord1_0> &
  Partial<Pick<Value<typeof indexRecord1_1>, 'streamInstanceId' | 'packetSeqNum'>>;

const none = 2n ** 64n - 1n;

/** The record of a packet of `sizeBytes` at `offsetBytes` by what it says of itself; 2^64 - 1 for what it does not say. */
export function indexRecordOf(header: PacketHeader, offsetBytes: number, sizeBytes: number): IndexRecord {
  const packetSizeBits = BigInt(sizeBytes) * 8n;
  return {
    offsetBytes: BigInt(offsetBytes),
    packetSizeBits,
    contentSizeBits: header.contentSizeBits ?? packetSizeBits,
    timestampBeginCycles: header.timestampBeginCycles ?? none,
    timestampEndCycles: header.timestampEndCycles ?? none,
    eventsDiscarded: header.eventsDiscarded ?? none,
    streamClassId: header.streamClassId,
    streamInstanceId: header.streamInstanceId ?? none,
    packetSeqNum: header.packetSeqNum ?? none,
  };
}

/** One version of the file: what it begins with, and its records. */
export interface IndexFormat {
  /** The bytes of the file's header; shared, do not write into them. */
  readonly header: Buffer;
  readonly record: Struct<IndexRecord>;
  readonly recordSizeBytes: number;
}

function format(minor: number, record: Struct<IndexRecord>): IndexFormat {
  const recordSizeBytes = record.minSizeBytes;
  return { header: indexFileHeader.encode({ major: 1, minor, recordSizeBytes }), record, recordSizeBytes };
}

const format1_0 = format(0, indexRecord1_0);
const format1_1 = format(1, indexRecord1_1);

/** The format to write for a session: 1.1 since protocol minor 8. */
export function indexFormatAt(protocolMinor: number): IndexFormat {
  return protocolMinor < 8 ? format1_0 : format1_1;
}

/** The format to read with, by the file's own minor. Undefined: a major version that is not known. */
export function indexFormatOf({ major, minor }: Value<typeof indexFileHeader>): IndexFormat | undefined {
  if (major !== 1) return undefined;
  return minor === 0 ? format1_0 : format1_1;
}
