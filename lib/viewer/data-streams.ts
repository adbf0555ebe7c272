/** Which packets form a data stream, and in which order. Source: ctf, "Data streams", "Traces". */
import type { StreamLayout } from '../ctf/decode/layout.ts';
import type { Packet, StreamFile } from './packet-table.ts';
import { readPacketTable } from './packet-table.ts';
import { compareBytes, type Trace } from './trace.ts';

export interface DataStream {
  trace: Trace;
  layout: StreamLayout;
  id: bigint;
  /** Absolute path of its first file. */
  path: string;
  packets: Packet[];
}

/** The streams of a trace. Rejects what `readPacketTable` rejects with. */
export async function dataStreamsOf(trace: Trace): Promise<DataStream[]> {
  const files: StreamFile[] = [];
  for (const { path, streamFiles } of trace.directories)
    for (const name of streamFiles) {
      const file = await readPacketTable(path, name, trace.reader);
      if (file !== undefined) files.push(file);
    }
  const groups = new Map<string, StreamFile[]>();
  const alone: StreamFile[] = [];
  for (const file of files) {
    const { stream, streamInstanceId, packets } = file;
    if (streamInstanceId === undefined || packets[0]?.beginCycles === undefined) {
      alone.push(file);
      continue;
    }
    const key = `${stream.id} ${streamInstanceId}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  alone.sort((a, b) => compareBytes(a.path, b.path));
  return [
    ...alone.map((file, i) => streamOf(trace, [file], BigInt(i))),
    ...[...groups.values()].map((group) => streamOf(trace, group, group[0]?.streamInstanceId ?? 0n)),
  ];
}

function streamOf(trace: Trace, files: readonly StreamFile[], id: bigint): DataStream {
  const [first] = files;
  const packets = files.flatMap((file) => file.packets);
  // Stable: where packets are copies, the one of the directory that counts comes first.
  if (files.length > 1) packets.sort((a, b) => compareCycles(a.beginCycles, b.beginCycles));
  const layout = trace.layouts.get(first?.stream.id ?? 0n) as StreamLayout;
  const unique = files.length > 1 ? withoutCopies(packets) : packets;
  return { trace, layout, id, path: unique[0]?.file.path ?? '', packets: unique };
}

function compareCycles(a = 0n, b = 0n): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Overlapping snapshots hold the same packet twice. */
function withoutCopies(packets: readonly Packet[]): Packet[] {
  const kept: Packet[] = [];
  for (const packet of packets) {
    let isCopy = false;
    for (let i = kept.length - 1; i >= 0 && kept[i]?.beginCycles === packet.beginCycles; i--)
      isCopy ||= isSame(kept[i] as Packet, packet);
    if (!isCopy) kept.push(packet);
  }
  return kept;
}

function isSame(a: Packet, b: Packet): boolean {
  return (
    a.sizeBytes === b.sizeBytes &&
    a.contentBits === b.contentBits &&
    a.endCycles === b.endCycles &&
    a.packetSeqNum === b.packetSeqNum
  );
}
