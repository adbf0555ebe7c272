/**
 * How a session stands at a relay that it is brought to, asked before it goes on after an outage: whether it can be taken
 * up there, and what is stored of it, so that nothing is sent twice. The relay tells the index record of the last packet
 * of each stream; which number that packet has is found in the spool.
 */
import type { Spool } from '../../disk/spool.ts';
import { readSpool } from '../../disk/spool-reader.ts';
import type { Index, StreamOpen } from '../../stage/frames.ts';
import { indexesSince } from '../../stage/standing.ts';
import type { ReplyOf } from '../../wire/relay/index.ts';
import { connectRelay } from '../client/handshake.ts';
import type { RelaySinkOptions } from '../client/options.ts';
import type { ForwardTarget } from './options.ts';

/** By stream: the last packet that is stored. */
export type StoredThere = ReadonlyMap<number, bigint>;

/** See the file's head. */
export interface SessionThere {
  /** How the session is to be opened; undefined: anew, under another name. */
  resume: RelaySinkOptions['resume'];
  /** undefined: the relay cannot say. */
  stored: StoredThere | undefined;
  /** By stream: the packet sequence number of the last packet that is stored; undefined: nobody was asked. */
  lastPacketSeqNums?: ReadonlyMap<number, bigint>;
}

type Record = ReplyOf<'lastStored'>;

/** Rejects with the errors of `connectRelay` and `ControlChannel.ask`. */
export async function sessionThere(
  spool: Spool,
  target: ForwardTarget,
  signal: AbortSignal,
): Promise<SessionThere> {
  const { token, naming, acknowledged } = spool.note;
  if (typeof token !== 'string') return { resume: undefined, stored: undefined };
  const resume = { token: Buffer.from(token, 'hex'), afresh: false };
  if (naming === undefined) return { resume, stored: new Map() };
  const { streams, indexes, isIndexed } = await packetsIn(spool, signal);
  // Without indexes nobody knows which packets are there: all of them are sent again, in their place.
  if (!isIndexed && acknowledged === 0) return { resume: { ...resume, afresh: true }, stored: new Map() };
  // The commands came with minor 12, whatever the session speaks.
  const link = await connectRelay({ ...target, resume, signal }, 15, () => undefined);
  try {
    if (!link.isMillrace) return { resume, stored: undefined };
    const stored = new Map<number, bigint>();
    const lastPacketSeqNums = new Map<number, bigint>();
    const { resumedPath: sessionPath } = link;
    if (sessionPath === undefined) return { resume, stored: link.resumes === 'never' ? undefined : stored };
    for (const { stream, path, channelName } of streams.values()) {
      const question = { sessionPath, streamPath: path, channelName };
      const record = await link.control.ask('lastStored', question);
      if (record.found) lastPacketSeqNums.set(stream, record.packetSeqNum);
      const mine = indexes.get(stream) ?? [];
      const match = mine.find((index) => isOf(index, record));
      if (match !== undefined) stored.set(stream, match.netSeqNum);
      // Not found: all that is stored was acknowledged, and is out of the spool.
    }
    return { resume: isIndexed ? resume : undefined, stored, lastPacketSeqNums };
  } finally {
    await link.control.end();
    await link.data.end();
  }
}

function isOf(index: Index, record: Record): boolean {
  return (
    record.found &&
    index.timestampEndCycles === record.timestampEndCycles &&
    index.timestampBeginCycles === record.timestampBeginCycles &&
    index.packetSizeBits === record.packetSizeBits &&
    (index.packetSeqNum ?? 0n) === record.packetSeqNum
  );
}

/** Streams and index records of everything that is not acknowledged. */
async function packetsIn(spool: Spool, signal: AbortSignal) {
  const streams = new Map<number, StreamOpen>();
  const indexes = new Map<number, Index[]>();
  let isIndexed = true;
  const from = spool.note.acknowledged;
  for await (const { frames } of readSpool(spool, { from, toEnd: true, signal }))
    for (const frame of frames) {
      if (frame.kind === 'sessionOpen') isIndexed = frame.minor >= indexesSince && !frame.snapshot;
      if (frame.kind === 'streamOpen' && frame.channelName !== 'metadata') streams.set(frame.stream, frame);
      const index = frame.kind === 'lost' ? frame.index : frame.kind === 'index' ? frame : undefined;
      if (index === undefined) continue;
      const mine = indexes.get(index.stream) ?? [];
      mine.push(index);
      indexes.set(index.stream, mine);
    }
  return { streams, indexes, isIndexed };
}
