/**
 * The header that producers up to 2.13 put in front of each packet of metadata text, in their own byte order.
 * Since 2.14 metadata is plain text. Source: CTF 1.8.3, metadata packets; relay-protocol, "Metadata".
 */
import { bytes, type Struct, struct, u8, u32, type Value } from '../schema/index.ts';

/** The magic number, as an integer in the producer's byte order. */
export const metadataMagic = 0x75d11d57;

const fields = [
  ['magic', u32, '75d11d57'],
  ['traceUuid', bytes(16), 'UUID', 'in text order'],
  ['checksum', u32, '0'],
  ['contentSizeBits', u32, 'bits', 'this header included'],
  ['packetSizeBits', u32, 'bits', 'padding included'],
  ['compressionScheme', u8, '0'],
  ['encryptionScheme', u8, '0'],
  ['checksumScheme', u8, '0'],
  ['major', u8, 'CTF major version', '1'],
  ['minor', u8, 'CTF minor version', '8'],
] as const;

const bigEndian = struct('metadataPacketHeader', fields);
const littleEndian = struct('metadataPacketHeader', fields, { endian: 'little' });

/** The decoded header. `traceUuid` is a view of the input. */
export type MetadataPacketHeader = Value<typeof bigEndian>;

/** The layout in both byte orders. */
export const metadataPacketHeader: Readonly<Record<'big' | 'little', Struct<MetadataPacketHeader>>> = {
  big: bigEndian,
  little: littleEndian,
};

/** The byte order that the magic at the start of metadata shows. Undefined: no packets, but plain text. */
export function metadataByteOrder(start: Buffer): 'big' | 'little' | undefined {
  if (start.length < 4) return undefined;
  if (start.readUInt32BE(0) === metadataMagic) return 'big';
  return start.readUInt32LE(0) === metadataMagic ? 'little' : undefined;
}
