import test from 'ava';
import { metadataByteOrder, metadataPacketHeader } from '../../lib/ctf/metadata-packet.ts';
import { hex } from '../helpers/hex.ts';

// Sent by the UST consumer daemon 2.13.9 on x86-64; the big endian twin is turned round by hand.
const little = hex(`571dd175 933705a45b5440aa9f33bf2aec4d1b3b 00000000 c85b0000 00800000 000000 01 08`);
const big = hex(`75d11d57 933705a45b5440aa9f33bf2aec4d1b3b 00000000 00005bc8 00008000 000000 01 08`);
const value = {
  magic: 0x75d11d57,
  traceUuid: hex('933705a45b5440aa9f33bf2aec4d1b3b'),
  checksum: 0,
  contentSizeBits: 23_496,
  packetSizeBits: 32_768,
  compressionScheme: 0,
  encryptionScheme: 0,
  checksumScheme: 0,
  major: 1,
  minor: 8,
};

test('metadata packet header: decodes and encodes in both byte orders', (t) => {
  t.deepEqual(metadataPacketHeader.little.decode(little), value);
  t.deepEqual(metadataPacketHeader.little.encode(value), little);
  t.deepEqual(metadataPacketHeader.big.decode(big), value);
  t.deepEqual(metadataPacketHeader.big.encode(value), big);
  t.is(metadataPacketHeader.big.fixedSizeBytes, 37);
});

test('metadata packet header: the byte order shows in the magic, and text has none', (t) => {
  t.is(metadataByteOrder(little), 'little');
  t.is(metadataByteOrder(big), 'big');
  t.is(metadataByteOrder(Buffer.from('/* CTF 1.8 */')), undefined);
  t.is(metadataByteOrder(hex('571dd1')), undefined);
});
