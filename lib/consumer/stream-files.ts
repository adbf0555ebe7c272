/**
 * Which data files of a trace are one stream. LTTng names a stream `CHANNEL_CPU` and, where tracefiles are limited in
 * size, its files `CHANNEL_CPU_N`; by the name alone the one cannot be told from the other (`a_0_1` may be CPU 1 of
 * channel `a_0`), so the packets decide: files of one stream say the same stream instance. Source: relay-behaviour,
 * "Tracefiles".
 */
import type { PacketFacts } from './packet-cursor.ts';

/** One stream, and its files in the order of their packets. */
export interface StreamFiles {
  channelName: string;
  names: string[];
  /** With which a writer splits the stream at the same packets, bytes; 0: one file. */
  tracefileSizeBytes: number;
}

/** What is known of a file: its first packet (undefined: it has none) and its size. */
export interface FileFacts {
  name: string;
  sizeBytes: number;
  first: PacketFacts | undefined;
}

const numbered = /^(.+)_\d+$/;

/** Names that a ring of tracefiles could have, by what they have in common: only these must be looked into. */
export function possibleRings(names: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const prefix = numbered.exec(name)?.[1];
    if (prefix === undefined) continue;
    const group = groups.get(prefix);
    if (group === undefined) groups.set(prefix, [name]);
    else group.push(name);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Joins the files of each possible ring that is one; every other file is a stream of its own. */
export function streamFilesOf(
  names: readonly string[],
  groups: readonly (readonly FileFacts[])[],
): StreamFiles[] {
  const streams: StreamFiles[] = [];
  const taken = new Set<string>();
  for (const group of groups) {
    if (!isOneStream(group)) continue;
    const files = group.toSorted(inOrder);
    for (const { name } of files) taken.add(name);
    streams.push({
      channelName: (numbered.exec((group[0] as FileFacts).name) as RegExpExecArray)[1] as string,
      names: files.map(({ name }) => name),
      tracefileSizeBytes: Math.max(...files.map(({ sizeBytes }) => sizeBytes)),
    });
  }
  for (const name of names)
    if (!taken.has(name)) streams.push({ channelName: name, names: [name], tracefileSizeBytes: 0 });
  return streams;
}

function isOneStream(group: readonly FileFacts[]): boolean {
  const firsts = group.flatMap(({ first }) => (first === undefined ? [] : [first]));
  const [one, ...others] = firsts;
  if (one?.streamInstanceId === undefined || others.length === 0) return false;
  return others.every(
    ({ streamClassId, streamInstanceId }) =>
      streamClassId === one.streamClassId && streamInstanceId === one.streamInstanceId,
  );
}

/** A ring begins anywhere; a file without packets is the one that was begun last. */
function inOrder({ first: a }: FileFacts, { first: b }: FileFacts): number {
  if (a === undefined || b === undefined) return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0);
  const [from, to] =
    a.packetSeqNum !== undefined && b.packetSeqNum !== undefined
      ? [a.packetSeqNum, b.packetSeqNum]
      : [a.timestampBeginCycles, b.timestampBeginCycles];
  return from < to ? -1 : from > to ? 1 : 0;
}
