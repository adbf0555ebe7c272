/**
 * How a frame is said to a relay: what each minor has words for, and what real relays must not be told. Source:
 * relay-protocol, "Versions" and "Dangers".
 */
import { randomBytes } from 'node:crypto';
import { sessionPath } from '../../disk/session-path.ts';
import type { ChunkDone, Inactive, Index, Lost, SessionOpen, StreamOpen } from '../../stage/frames.ts';
import { tell } from '../../telemetry.ts';
import { closeCommands, none, type RequestOf, traceFormats } from '../../wire/relay/index.ts';

/** Minors from which the protocol has what is named. */
export const since = { indexes: 4, resetMetadata: 8, chunks: 11, deleteChunk: 12, ctf2: 15 } as const;

/** Sessions that no sessiond made share one UUID, as those of one program, and are numbered by us. */
const ownUuid = randomBytes(16);
let ownSessions = 0n;

/** CREATE_SESSION, in whatever layout. */
export function sessionRequest(open: SessionOpen): RequestOf<'createSession'> {
  const isOwn = /^0*$/.test(open.sessiondUuid);
  if (isOwn) ownSessions += 1n;
  return {
    sessionName: open.sessionName,
    hostname: open.hostname,
    liveTimerUs: open.liveTimerUs,
    snapshot: open.snapshot,
    nameHasCreationTime: open.nameHasCreationTime,
    sessiondUuid: isOwn ? ownUuid : Buffer.from(open.sessiondUuid, 'hex'),
    idSessiond: isOwn ? ownSessions : (open.idSessiond ?? 0n),
    creationTimeS: open.creationTimeS ?? BigInt(Math.floor(Date.now() / 1000)),
    currentChunkId: undefined,
    basePath: open.basePath,
    traceFormat: open.traceFormat === 'ctf-2' ? traceFormats.ctf2 : traceFormats.ctf1_8,
  } as RequestOf<'createSession'>;
}

/** A stream's path: in full for relays before 2.11, as producers that know trace chunks send it to them. */
export function streamPath(open: SessionOpen, minor: number, path: string): string {
  if (minor >= since.chunks || open.minor < since.chunks) return path;
  return `/${sessionPath(open, 'host').join('/')}//${path}`;
}

/** lttng-relayd dies of a size without a count (relay-protocol §13.4): what would not wrap goes into one file. */
export function tracefileRing(
  { tracefileSizeBytes, tracefileCount, channelName }: StreamOpen,
  peer: string,
): Pick<StreamOpen, 'tracefileSizeBytes' | 'tracefileCount'> {
  if (tracefileSizeBytes === 0n || tracefileCount > 0n) return { tracefileSizeBytes, tracefileCount };
  const text = `${channelName}: tracefiles limited in size but not in number become one file at ${peer}`;
  tell('debug', 'client:one-tracefile', text, { peer });
  return { tracefileSizeBytes: 0n, tracefileCount: 0n };
}

/** SEND_INDEX of a packet. */
export function indexRequest(streamId: bigint, index: Index): RequestOf<'sendIndex'> {
  return {
    streamId,
    netSeqNum: index.netSeqNum,
    packetSizeBits: index.packetSizeBits,
    contentSizeBits: index.contentSizeBits,
    timestampBeginCycles: index.timestampBeginCycles,
    timestampEndCycles: index.timestampEndCycles,
    eventsDiscarded: index.eventsDiscarded,
    streamClassId: index.streamClassId,
    streamInstanceId: index.streamInstanceId ?? none,
    packetSeqNum: index.packetSeqNum ?? none,
  };
}

/** PACKET_LOST, for a relay that is millrace. */
export function lossRequest(streamId: bigint, { cause }: Lost, index: Index): RequestOf<'packetLost'> {
  const longest = 200;
  return { ...indexRequest(streamId, index), cause: cause.slice(0, longest) } as RequestOf<'packetLost'>;
}

/** SEND_INDEX as a live beacon: a packet of size 0. Source: relay-protocol §10.2. */
export function beaconRequest(streamId: bigint, beacon: Inactive): RequestOf<'sendIndex'> {
  const { netSeqNum, streamClassId, timestampEndCycles } = beacon;
  return {
    streamId,
    netSeqNum,
    packetSizeBits: 0n,
    contentSizeBits: 0n,
    timestampBeginCycles: 0n,
    timestampEndCycles,
    eventsDiscarded: 0n,
    streamClassId,
    streamInstanceId: 0n,
    packetSeqNum: 0n,
  };
}

/** What becomes of a closed chunk. A relay that deletes nothing keeps it, which is told. */
export function closeCommand(
  action: ChunkDone['action'],
  relay: { minor: number; clearAllowed: boolean; control: { peer: string } },
): number | undefined {
  if (action === 'none') return undefined;
  if (action === 'moveToCompleted') return closeCommands.moveToCompleted;
  if (relay.minor >= since.deleteChunk && relay.clearAllowed) return closeCommands.delete;
  const { peer } = relay.control;
  tell('warn', 'client:kept-chunk', `${peer} does not allow clearing: the trace chunk is kept there`, {
    peer,
  });
  return closeCommands.moveToCompleted;
}
