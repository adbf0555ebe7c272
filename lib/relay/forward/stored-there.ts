/**
 * What a millrace relay has stored of a session whose connection broke: asked for before the session goes on, so that
 * nothing is sent twice. The relay tells the index record of the last packet of each stream; which number that packet has
 * is found in the spool.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Spool } from '../../disk/spool.ts';
import { readSpool } from '../../disk/spool-reader.ts';
import type { Index, StreamOpen } from '../../stage/frames.ts';
import { connectRelay, type RelayLink } from '../client/handshake.ts';
import type { ForwardTarget } from './options.ts';

/** By stream: the last packet that is stored. */
export type StoredThere = ReadonlyMap<number, bigint>;

const askAgainMs = 20;

/**
 * Asks about the session in `outputPath`. Resolves to undefined when the relay is not millrace and cannot say. Rejects
 * with the errors of `connectRelay` and `ControlChannel.ask`.
 */
export async function storedThere(
  spool: Spool,
  target: ForwardTarget,
  outputPath: string,
  signal: AbortSignal,
): Promise<StoredThere | undefined> {
  // A hop stores nothing, and what is behind it cannot be asked.
  if (target.via !== undefined) return undefined;
  // The commands came with minor 12, whatever the session speaks.
  const link = await connectRelay({ ...target, via: undefined, signal }, 15, () => undefined);
  try {
    if (!link.isMillrace) return undefined;
    return await storedOf(spool, link, outputPath, signal);
  } finally {
    await link.control.end();
    await link.data.end();
  }
}

async function storedOf(
  spool: Spool,
  { control }: RelayLink,
  sessionPath: string,
  signal: AbortSignal,
): Promise<StoredThere> {
  const { streams, indexes } = await packetsIn(spool, signal);
  const stored = new Map<number, bigint>();
  for (const { stream, path, channelName } of streams.values()) {
    const question = { sessionPath, streamPath: path, channelName };
    let reply = await control.ask('lastStored', question);
    for (; reply.busy; reply = await control.ask('lastStored', question))
      await delay(askAgainMs, undefined, { signal });
    if (!reply.found) continue;
    const match = indexes
      .get(stream)
      ?.find(
        (index) =>
          index.timestampEndCycles === reply.timestampEndCycles &&
          index.timestampBeginCycles === reply.timestampBeginCycles &&
          index.packetSizeBits === reply.packetSizeBits &&
          (index.packetSeqNum ?? 0n) === reply.packetSeqNum,
      );
    // Not found: all that is stored was acknowledged, and is out of the spool.
    if (match !== undefined) stored.set(stream, match.netSeqNum);
  }
  return stored;
}

/** Streams and index records of everything that is not acknowledged. */
async function packetsIn(spool: Spool, signal: AbortSignal) {
  const streams = new Map<number, StreamOpen>();
  const indexes = new Map<number, Index[]>();
  const from = spool.note.acknowledged;
  for await (const { frames } of readSpool(spool, { from, toEnd: true, signal }))
    for (const frame of frames) {
      if (frame.kind === 'streamOpen' && frame.channelName !== 'metadata') streams.set(frame.stream, frame);
      const index = frame.kind === 'lost' ? frame.index : frame.kind === 'index' ? frame : undefined;
      if (index === undefined) continue;
      const mine = indexes.get(index.stream) ?? [];
      mine.push(index);
      indexes.set(index.stream, mine);
    }
  return { streams, indexes };
}
