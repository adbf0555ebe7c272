/**
 * Puts the files of traces together into data streams: those of one UUID are one trace (chunks, snapshots), files of
 * one stream class and instance one stream. Source: ctf, "Data streams" and "Traces".
 */
import type { PacketReader } from '../../ctf/packet-header.ts';
import { endOf, lostBetween, type PacketRun } from './packet-order.ts';
import type { FaultList, StreamReport } from './report.ts';

/** A file with packets. */
export interface StreamFile {
  path: string;
  /** Directory of its trace. */
  trace: string;
  uuid: string | undefined;
  run: PacketRun;
  reader: PacketReader;
}

/** The streams of all files, in the order in which they were found. Faults are those between files of one trace. */
export function streamsOf(files: readonly StreamFile[], faults: FaultList): StreamReport[] {
  const streams = new Map<string, StreamFile[]>();
  for (const file of files) {
    const key = keyOf(file);
    const alike = streams.get(key);
    if (alike === undefined) streams.set(key, [file]);
    else alike.push(file);
  }
  return [...streams.values()].map((parts) => streamOf(parts, faults));
}

/** Without an instance or a time of its beginning, every file is a stream of its own. */
function keyOf({ path, trace, uuid, run }: StreamFile): string {
  const { streamClassId, streamInstanceId, timestampBeginCycles } = run.first;
  if (streamInstanceId === undefined || timestampBeginCycles === undefined) return path;
  return `${uuid ?? trace} ${streamClassId} ${streamInstanceId}`;
}

function streamOf(files: readonly StreamFile[], faults: FaultList): StreamReport {
  const sorted = files.toSorted((a, b) => {
    const [first, second] = [a.run.first.timestampBeginCycles ?? 0n, b.run.first.timestampBeginCycles ?? 0n];
    return first < second ? -1 : first > second ? 1 : a.path < b.path ? -1 : 1;
  });
  const [earliest] = sorted as [StreamFile];
  const { first } = earliest.run;
  const report: StreamReport = {
    streamClassId: first.streamClassId,
    streamInstanceId: first.streamInstanceId,
    paths: sorted.map(({ path }) => path),
    packets: 0,
    eventsDiscarded: 0n,
    eventsDiscardedBefore: first.eventsDiscarded ?? 0n,
    packetsLost: 0n,
    beginCycles: first.timestampBeginCycles,
    endCycles: undefined,
  };
  let before: StreamFile | undefined;
  for (const file of sorted) {
    report.packets += file.run.packets;
    report.eventsDiscarded += file.run.eventsDiscarded;
    report.packetsLost += file.run.packetsLost;
    if (before !== undefined && isBehind(before, file, faults)) {
      const lost = lostBetween(before.run.last, file.run.first, file.reader);
      report.eventsDiscarded += lost.eventsDiscarded;
      report.packetsLost += lost.packetsLost;
    }
    const end = endOf(file.run.last);
    if (report.endCycles === undefined || (end !== undefined && end > report.endCycles))
      report.endCycles = end;
    before = file;
  }
  return report;
}

/** Whether a file goes on where the one before ends. Snapshots may hold the same packets, tracefiles may not. */
function isBehind(before: StreamFile, file: StreamFile, faults: FaultList): boolean {
  const [end, begin] = [endOf(before.run.last), file.run.first.timestampBeginCycles];
  if (end === undefined || begin === undefined || begin >= end) return true;
  if (before.trace === file.trace)
    faults.add('timestamp-order', file.path, `it begins at ${begin}, ${before.path} ends at ${end}`, 0);
  return false;
}
