/** The packets of a data stream file: from its index where it has one that fits, else from their headers. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { PacketReader } from '../ctf/packet-header.ts';
import { scanPackets } from '../ctf/packet-scan.ts';
import type { StreamClass } from '../ctf/trace-class.ts';
import { MillraceError, why } from '../errors.ts';
import { readIndex } from './index-table.ts';

/** One packet, as it says of itself. Cycles and counters are undefined where its layout lacks them. */
export interface Packet {
  file: StreamFile;
  offsetBytes: number;
  sizeBytes: number;
  contentBits: number;
  beginCycles: bigint | undefined;
  endCycles: bigint | undefined;
  eventsDiscarded: bigint | undefined;
  packetSeqNum: bigint | undefined;
  /** It has no size of its own and ends with its file, maybe inside an event. */
  isOpen: boolean;
}

export interface StreamFile {
  path: string;
  /** Of its first packet. */
  stream: StreamClass;
  streamInstanceId: bigint | undefined;
  packets: Packet[];
}

/** Rejects MR_ERR_VIEW_PACKET for a packet that cannot be read, MR_ERR_DISK_READ. */
export async function readPacketTable(
  directory: string,
  name: string,
  reader: PacketReader,
): Promise<StreamFile | undefined> {
  const path = join(directory, name);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(cause) }, { cause });
  }
  try {
    const { size } = await file.stat();
    const indexed = await readIndex(directory, name, size, file, reader);
    return indexed ?? (await scan(path, file, size, reader));
  } finally {
    await file.close();
  }
}

async function scan(
  path: string,
  handle: FileHandle,
  sizeBytes: number,
  reader: PacketReader,
): Promise<StreamFile | undefined> {
  const bytes = Buffer.allocUnsafe(262_144);
  const read = async (position: number, length: number): Promise<Buffer> => {
    const buffer = length <= bytes.length ? bytes : Buffer.allocUnsafe(length);
    const { bytesRead } = await handle.read(buffer, 0, length, position);
    return buffer.subarray(0, bytesRead);
  };
  let file: StreamFile | undefined;
  for await (const found of scanPackets(read, sizeBytes, reader)) {
    if (found.kind === 'damage') throw packetError(path, found.offsetBytes, found.error.message, found.error);
    const { offsetBytes, header } = found;
    const stream = reader.trace.streams.get(header.streamClassId) as StreamClass;
    file ??= { path, stream, streamInstanceId: header.streamInstanceId, packets: [] };
    if (file.stream !== stream)
      throw packetError(
        path,
        offsetBytes,
        `stream class ${stream.id} in a file of stream class ${file.stream.id}`,
      );
    const { contentSizeBits } = header;
    if (contentSizeBits !== undefined && contentSizeBits > found.sizeBytes * 8)
      throw packetError(
        path,
        offsetBytes,
        `${contentSizeBits} bits of content in a packet of ${found.sizeBytes * 8}`,
      );
    if (contentSizeBits !== undefined && contentSizeBits < header.headerBits)
      throw packetError(
        path,
        offsetBytes,
        `${contentSizeBits} bits of content, ${header.headerBits} of header and context`,
      );
    file.packets.push({
      file,
      offsetBytes,
      sizeBytes: found.sizeBytes,
      contentBits: contentSizeBits === undefined ? found.sizeBytes * 8 : Number(contentSizeBits),
      beginCycles: header.timestampBeginCycles,
      endCycles: header.timestampEndCycles,
      eventsDiscarded: header.eventsDiscarded,
      packetSeqNum: header.packetSeqNum,
      isOpen: header.packetSizeBits === undefined,
    });
  }
  return file;
}

/** An error in a packet, with its place. */
export function packetError(path: string, offset: number, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('MR_ERR_VIEW_PACKET', { path, offset, why: reason }, { cause });
}
