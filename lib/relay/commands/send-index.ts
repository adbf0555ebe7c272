import { MillraceError, relayRet } from '../../errors.ts';
import type { Handler } from './handler.ts';
import { ownDataStream } from './streams.ts';

/**
 * The record of a packet, before or after its data; or, with packet size 0, a live beacon: until then the
 * stream had nothing to say. Beacons are sent for streams in no trace chunk too.
 */
export const sendIndex: Handler<'sendIndex'> = {
  handle({ relay, session }, request) {
    const { handle, writer, trace } = ownDataStream(relay, session, 'sendIndex', request.streamId);
    const { netSeqNum, streamClassId } = request;
    if (request.packetSizeBits === 0n) {
      const { timestampEndCycles } = request;
      relay.store.accept({ kind: 'inactive', stream: handle, netSeqNum, streamClassId, timestampEndCycles });
      return { ret: relayRet.ok };
    }
    if (!writer.hasFile && writer.failed === undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_CHUNK', { command: 'sendIndex', stream: handle });
    relay.store.accept({
      kind: 'index',
      stream: handle,
      netSeqNum,
      packetSizeBits: request.packetSizeBits,
      contentSizeBits: request.contentSizeBits,
      timestampBeginCycles: request.timestampBeginCycles,
      timestampEndCycles: request.timestampEndCycles,
      eventsDiscarded: request.eventsDiscarded,
      streamClassId,
      streamInstanceId: request.streamInstanceId,
      packetSeqNum: request.packetSeqNum,
      metadataPositionBytes: trace.metadata?.ledger.metadataBytes ?? 0,
    });
    return { ret: relayRet.ok };
  },
};
