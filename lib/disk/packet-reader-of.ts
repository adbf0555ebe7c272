/** What reads stored packets, by their metadata; apart from those who use it, because only recovery needs it at a start. */
import { readFileSync } from 'node:fs';
import { readMetadataClass } from '../ctf/metadata/index.ts';
import { PacketReader } from '../ctf/packet-header.ts';

/**
 * What reads the packets of the trace whose metadata lies at `path`, `bytes` of it whole; undefined: it is not there,
 * or says nothing that can be used.
 */
export function packetReaderOf(path: string, bytes: number): PacketReader | undefined {
  try {
    const reader = new PacketReader(readMetadataClass(readFileSync(path).subarray(0, bytes)));
    // Without a number to know them by, zeros or text would pass for packets.
    return reader.magicBytes && reader;
  } catch {
    return undefined;
  }
}
