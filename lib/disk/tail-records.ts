/**
 * Index records of packets that a relay had stored whole when it died, and whose records it had not written yet: made
 * anew from what the packets say of themselves, where their metadata is there.
 */
import { readSync } from 'node:fs';
import { type IndexRecord, indexRecordOf } from '../ctf/index-file.ts';
import type { PacketHeader, PacketReader } from '../ctf/packet-header.ts';
import { limits } from '../limits.ts';

/** Headers and contexts of LTTng's packets are shorter by far. */
const usualHeaderBytes = 4096;

/**
 * Records of the whole packets that lie in `fd` from `fromBytes` on, one behind the other, until `sizeBytes` or what is
 * none. `clockCycles`: what the stream's clock showed before. Throws what the system says.
 */
export function tailRecords(
  fd: number,
  { fromBytes, sizeBytes, clockCycles }: { fromBytes: number; sizeBytes: number; clockCycles: bigint },
  reader: PacketReader,
): IndexRecord[] {
  const records: IndexRecord[] = [];
  let clock = clockCycles;
  for (let at = fromBytes; at < sizeBytes; ) {
    const header = headerAt(fd, at, reader, clock);
    const bits = header?.packetSizeBits;
    if (header === undefined || bits === undefined || bits % 8n !== 0n || bits < BigInt(header.headerBits))
      break;
    if (bits / 8n > BigInt(sizeBytes - at)) break;
    const packetBytes = Number(bits / 8n);
    records.push(indexRecordOf(header, at, packetBytes));
    clock = header.timestampEndCycles ?? clock;
    at += packetBytes;
  }
  return records;
}

/** undefined: no packet of this trace begins there. */
function headerAt(fd: number, at: number, reader: PacketReader, clock: bigint): PacketHeader | undefined {
  for (const length of [usualHeaderBytes, limits.packetHeaderBytes]) {
    const bytes = Buffer.alloc(length);
    const got = readSync(fd, bytes, 0, length, at);
    try {
      const header = reader.packetAt(bytes.subarray(0, got), clock);
      const { uuid } = reader.trace;
      return uuid !== undefined && header.uuid?.equals(uuid) === false ? undefined : header;
    } catch {
      if (got < length) return undefined;
    }
  }
  return undefined;
}
