/**
 * What a stream's files say, read without any code of the project: the packets of a data file as their own
 * headers describe them, and the records of the index file beside it. Rules: CTF 1.8.3 §5, LTTng-UST 2.13
 * packet context (its events_discarded is a long), index format 1.1 (relay protocol, index file).
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** One packet; sizes in bytes, times in the trace's clock ticks. */
export interface Packet {
  offset: number;
  packetSizeBytes: number;
  contentSizeBits: number;
  timestampBegin: bigint;
  timestampEnd: bigint;
  eventsDiscarded: bigint;
  streamId: number;
  streamInstanceId: bigint;
  packetSeqNum: bigint;
}

/** A stream's packets, and everything in its files that does not fit together, as sentences. */
export interface StreamFiles {
  packets: Packet[];
  faults: string[];
}

const dataMagic = 0xc1fc1fc1;
/** Up to and with packet_seq_num; then events_discarded, a long, and the processor, a u32. */
const headerBytes = 72;
const indexMagic = 0xc1f1dcc1;
const indexHeaderBytes = 16;
const recordBytes = 72;

/** Reads a data file of a little-endian tracer, and its index file where there is one. `longBytes`: the tracer's. */
export function readStream(dataPath: string, longBytes: 4 | 8): StreamFiles {
  const { packets, faults } = walkPackets(readFileSync(dataPath), longBytes);
  const indexPath = join(dirname(dataPath), 'index', `${basename(dataPath)}.idx`);
  if (existsSync(indexPath)) faults.push(...differences(packets, readFileSync(indexPath)));
  return { packets, faults };
}

function walkPackets(bytes: Buffer, longBytes: 4 | 8): StreamFiles {
  const packets: Packet[] = [];
  let offset = 0;
  const emptyBytes = headerBytes + longBytes + 4;
  while (offset + emptyBytes <= bytes.length) {
    if (bytes.readUInt32LE(offset) !== dataMagic) return { packets, faults: [`no packet at ${offset}`] };
    const packetSizeBytes = Number(bytes.readBigUInt64LE(offset + 56) / 8n);
    if (packetSizeBytes < emptyBytes || offset + packetSizeBytes > bytes.length) break;
    packets.push({
      offset,
      packetSizeBytes,
      contentSizeBits: Number(bytes.readBigUInt64LE(offset + 48)),
      timestampBegin: bytes.readBigUInt64LE(offset + 32),
      timestampEnd: bytes.readBigUInt64LE(offset + 40),
      eventsDiscarded:
        longBytes === 8 ? bytes.readBigUInt64LE(offset + 72) : BigInt(bytes.readUInt32LE(offset + 72)),
      streamId: bytes.readUInt32LE(offset + 20),
      streamInstanceId: bytes.readBigUInt64LE(offset + 24),
      packetSeqNum: bytes.readBigUInt64LE(offset + 64),
    });
    offset += packetSizeBytes;
  }
  const faults =
    offset === bytes.length ? [] : [`${bytes.length - offset} bytes behind the last whole packet`];
  return { packets, faults };
}

function differences(packets: readonly Packet[], index: Buffer): string[] {
  if (index.length < indexHeaderBytes) return ['index: no header'];
  const header = [0, 4, 8, 12].map((at) => index.readUInt32BE(at));
  if (header.join() !== [indexMagic, 1, 1, recordBytes].join()) return [`index: header ${header.join(' ')}`];
  const faults: string[] = [];
  const count = (index.length - indexHeaderBytes) / recordBytes;
  if (count !== packets.length) faults.push(`index: ${count} records for ${packets.length} packets`);
  for (const [n, packet] of packets.slice(0, count).entries()) {
    const told = recordAt(index, indexHeaderBytes + n * recordBytes);
    const differing = (Object.keys(packet) as (keyof Packet)[]).filter((key) => packet[key] !== told[key]);
    for (const key of differing) faults.push(`record ${n}: ${key} ${told[key]}, packet has ${packet[key]}`);
  }
  return faults;
}

function recordAt(index: Buffer, at: number): Packet {
  const field = (n: number) => index.readBigUInt64BE(at + 8 * n);
  return {
    offset: Number(field(0)),
    packetSizeBytes: Number(field(1) / 8n),
    contentSizeBits: Number(field(2)),
    timestampBegin: field(3),
    timestampEnd: field(4),
    eventsDiscarded: field(5),
    streamId: Number(field(6)),
    streamInstanceId: field(7),
    packetSeqNum: field(8),
  };
}

const metadataMagic = 0x75d11d57;
const metadataHeaderBytes = 37;

/** The text of a packetised metadata file (CTF 1.8.3 §7.2), little endian. Throws where it is none. */
export function metadataText(path: string): string {
  const bytes = readFileSync(path);
  const texts: string[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    if (bytes.readUInt32LE(offset) !== metadataMagic) throw new Error(`${path}: no packet at ${offset}`);
    const contentBytes = bytes.readUInt32LE(offset + 24) / 8;
    const packetBytes = bytes.readUInt32LE(offset + 28) / 8;
    if (packetBytes < metadataHeaderBytes) throw new Error(`${path}: packet of ${packetBytes} bytes`);
    texts.push(bytes.toString('utf8', offset + metadataHeaderBytes, offset + contentBytes));
    offset += packetBytes;
  }
  return texts.join('');
}
