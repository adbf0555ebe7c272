/**
 * Packets from an index file, which saves reading their headers. One that does not fit its data is not used, and
 * nobody is told: the result is the same. Source: ctf, "Index files".
 */
import { type FileHandle, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { indexFileHeader, indexFormatOf } from '../ctf/index-file.ts';
import type { PacketReader } from '../ctf/packet-header.ts';
import { limits } from '../limits.ts';
import type { Packet, StreamFile } from './packet-table.ts';

const headerBytes = indexFileHeader.minSizeBytes;

/** Resolves with undefined where there is no index that can be used. */
export async function readIndex(
  directory: string,
  name: string,
  dataBytes: number,
  data: FileHandle,
  reader: PacketReader,
): Promise<StreamFile | undefined> {
  const bytes = await readFile(join(directory, 'index', `${name}.idx`)).catch(() => undefined);
  if (bytes === undefined || bytes.length < headerBytes) return undefined;
  let header: ReturnType<typeof indexFileHeader.decode>;
  try {
    header = indexFileHeader.decode(bytes, 0, headerBytes);
  } catch {
    return undefined;
  }
  const format = indexFormatOf(header);
  const { recordSizeBytes } = header;
  const records = (bytes.length - headerBytes) / recordSizeBytes;
  if (format === undefined || header.minor === 0 || recordSizeBytes < format.recordSizeBytes)
    return undefined;
  if (!Number.isInteger(records) || records < 1 || recordSizeBytes > limits.indexRecordBytes)
    return undefined;
  const first = await packetOf(data, reader, 0);
  if (first === undefined) return undefined;
  const file: StreamFile = {
    path: join(directory, name),
    stream: first.stream,
    streamInstanceId: first.header.streamInstanceId,
    packets: [],
  };
  let at = 0n;
  for (let i = 0; i < records; i++) {
    const start = headerBytes + i * recordSizeBytes;
    const record = format.record.decode(bytes, start, start + format.recordSizeBytes);
    const { packetSizeBits, contentSizeBits, timestampBeginCycles, timestampEndCycles } = record;
    const isWhole = record.offsetBytes === at && packetSizeBits % 8n === 0n && packetSizeBits > 0n;
    // a wrong time shows by the packet behind it
    const endBefore = file.packets.at(-1)?.endCycles ?? 0n;
    const isInOrder = endBefore <= timestampBeginCycles && timestampBeginCycles <= timestampEndCycles;
    if (!isWhole || contentSizeBits > packetSizeBits || !isInOrder) return undefined;
    if (record.streamClassId !== first.stream.id || record.streamInstanceId !== file.streamInstanceId)
      return undefined;
    file.packets.push({
      file,
      offsetBytes: Number(at),
      sizeBytes: Number(packetSizeBits / 8n),
      contentBits: Number(contentSizeBits),
      beginCycles: timestampBeginCycles,
      endCycles: timestampEndCycles,
      eventsDiscarded: record.eventsDiscarded,
      packetSeqNum: record.packetSeqNum,
      isOpen: false,
    });
    at += packetSizeBits / 8n;
  }
  if (at !== BigInt(dataBytes)) return undefined;
  const { offsetBytes, endCycles } = file.packets.at(-1) as Packet;
  const last = offsetBytes === 0 ? first : await packetOf(data, reader, offsetBytes);
  return last?.header.timestampEndCycles === endCycles ? file : undefined;
}

/** A packet's own word, where its layout has all that an index says, in the same width. */
async function packetOf(data: FileHandle, reader: PacketReader, offsetBytes: number) {
  const { buffer, bytesRead } = await data.read(Buffer.alloc(4096), 0, 4096, offsetBytes);
  try {
    const header = reader.packetAt(buffer.subarray(0, bytesRead));
    const stream = reader.trace.streams.get(header.streamClassId);
    const isWide = (['timestampBeginCycles', 'timestampEndCycles'] as const).every(
      (role) => reader.sizeOfRole(header.streamClassId, role) === 64,
    );
    const isWhole =
      header.packetSizeBits !== undefined &&
      header.eventsDiscarded !== undefined &&
      header.packetSeqNum !== undefined;
    if (stream === undefined || !isWide || !isWhole) return undefined;
    return { stream, header };
  } catch {
    // Reading the packets will say what is wrong.
    return undefined;
  }
}
