/**
 * From the bytes of a metadata file to its text: out of packets in either byte order, or plain. Source: ctf,
 * "The metadata stream".
 */
import { MillraceError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { metadataByteOrder, metadataPacketHeader } from '../metadata-packet.ts';

/** The text of a trace's metadata, as Latin-1: one character a byte, so that columns are bytes. */
export interface MetadataText {
  language: 'tsdl' | 'json';
  text: string;
  /** UUID in the headers of the packets; undefined: plain text. A view of the input. */
  uuid: Buffer | undefined;
}

const jsonRecordSeparator = '\x1e';

/**
 * Takes the text out of a whole metadata file. Errors: MR_ERR_CTF_METADATA (empty, longer than
 * `limits.metadataBytes`), MR_ERR_CTF_METADATA_PACKET.
 */
export function metadataTextOf(file: Buffer): MetadataText {
  if (file.length === 0) throw refused('it is empty');
  if (file.length > limits.metadataBytes)
    throw refused(`${file.length} bytes, at most ${limits.metadataBytes} are read`);
  const byteOrder = metadataByteOrder(file);
  if (byteOrder !== undefined) return unpacked(file, byteOrder);
  const text = file.toString('latin1');
  const language = /^[ \t\r\n]*(.?)/.exec(text)?.[1] === jsonRecordSeparator ? 'json' : 'tsdl';
  return { language, text, uuid: undefined };
}

/** A packet may end inside a word; the padding behind it is not blank but stale. */
function unpacked(file: Buffer, byteOrder: 'big' | 'little'): MetadataText {
  const layout = metadataPacketHeader[byteOrder];
  const headerBytes = layout.minSizeBytes;
  const pieces: string[] = [];
  let uuid: Buffer | undefined;
  let offset = 0;
  // Fewer bytes than a header at the end are what a killed writer left.
  while (file.length - offset >= headerBytes) {
    const packet = (why: string) => new MillraceError('MR_ERR_CTF_METADATA_PACKET', { offset, why });
    const header = layout.decode(file, offset, offset + headerBytes);
    const { contentSizeBits, packetSizeBits, traceUuid } = header;
    if (header.major !== 1 || header.minor !== 8)
      throw packet(`version ${header.major}.${header.minor}, only 1.8 is known`);
    if (header.checksum !== 0 || header.checksumScheme !== 0) throw packet('it has a checksum');
    if (header.compressionScheme !== 0) throw packet('it is compressed');
    if (header.encryptionScheme !== 0) throw packet('it is encrypted');
    if (contentSizeBits < headerBytes * 8) throw packet(`${contentSizeBits} bits of content`);
    if (contentSizeBits % 8 !== 0 || packetSizeBits % 8 !== 0) throw packet('its sizes are no whole bytes');
    if (packetSizeBits < contentSizeBits)
      throw packet(`${contentSizeBits} bits of content in a packet of ${packetSizeBits}`);
    if (uuid !== undefined && !uuid.equals(traceUuid))
      throw packet('its UUID is not that of the first packet');
    uuid ??= traceUuid;
    pieces.push(file.toString('latin1', offset + headerBytes, offset + contentSizeBits / 8));
    offset += packetSizeBits / 8;
  }
  if (uuid === undefined)
    throw new MillraceError('MR_ERR_CTF_METADATA_PACKET', { offset, why: `only ${file.length} bytes` });
  const text = pieces.join('');
  return { language: text.startsWith(jsonRecordSeparator) ? 'json' : 'tsdl', text, uuid };
}

function refused(why: string): MillraceError {
  return new MillraceError('MR_ERR_CTF_METADATA', { line: 1, column: 1, why });
}

/** An error at a place of the text. `at`: offset in characters. */
export function metadataError(text: string, at: number, why: string): MillraceError {
  let line = 1;
  let start = 0;
  for (let end = text.indexOf('\n'); end >= 0 && end < at; end = text.indexOf('\n', start)) {
    line += 1;
    start = end + 1;
  }
  return new MillraceError('MR_ERR_CTF_METADATA', { line, column: at - start + 1, why });
}
