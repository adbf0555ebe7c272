/**
 * The four commands with which a producer asks whether everything has arrived. The answers of two of them are
 * 0 and 1, not return codes. Source: relay-protocol, "Data pending".
 */
import { MetadataWriter } from '../../disk/metadata-writer.ts';
import { MillraceError, relayRet } from '../../errors.ts';
import type { Handler } from './handler.ts';
import { ownStream } from './streams.ts';

const unknownStream = 0xffff_ffff;

/** Begins a round of questions. */
export const beginDataPending: Handler<'beginDataPending'> = {
  handle({ session }) {
    for (const stream of session.streams.values()) stream.asked = false;
    return { ret: relayRet.ok };
  },
};

/** Asks for one data stream: 1 while packets up to the given one are not committed. */
export const dataPending: Handler<'dataPending'> = {
  handle({ relay, session }, { streamId, lastNetSeqNum }) {
    const stream = ownStream(relay, session, 'dataPending', streamId);
    stream.asked = true;
    const isSpooled = relay.taps.every((tap) => tap.isWritten(stream.handle));
    return { ret: stream.writer.isPending(lastNetSeqNum) || !isSpooled ? 1 : 0 };
  },
  refuse: ({ ret }) => (ret === undefined ? undefined : { ret: unknownStream }),
};

/**
 * All control messages of the metadata stream sent before this one are dealt with: always so, in order. Metadata that
 * could not be stored is told now, for it has no reply of its own.
 */
export const quiescentControl: Handler<'quiescentControl'> = {
  handle({ session }, { streamId }) {
    const stream = session.streams.get(Number(streamId));
    if (stream?.writer.failed !== undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_FAILED', {
        command: 'quiescentControl',
        stream: stream.handle,
        why: stream.writer.failed.message,
      });
    if (stream !== undefined) stream.asked = true;
    return { ret: relayRet.ok };
  },
};

/**
 * Ends the round: 1 if a stream was not asked about, so that something of it may be on its way, or while metadata,
 * which nobody asks about in this way, waits for a slow disk.
 */
export const endDataPending: Handler<'endDataPending'> = {
  handle({ session }, { sessionId }) {
    if (sessionId !== BigInt(session.id)) return { ret: 0 };
    const pending = [...session.streams.values()].some(
      ({ asked, writer }) => !asked || (writer instanceof MetadataWriter && writer.isPending()),
    );
    return { ret: pending ? 1 : 0 };
  },
};
