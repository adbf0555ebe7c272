/** The private commands of a relay that forwards here: what is stored, what is lost, and the way on. */
import { lastRecordOf } from '../../disk/last-record.ts';
import { checkPath } from '../../disk/names.ts';
import { MillraceError, relayRet } from '../../errors.ts';
import type { Index } from '../../stage/frames.ts';
import type { CommandContext, Handler } from './handler.ts';
import { ownDataStream } from './streams.ts';

const nothing = { packetSizeBits: 0n, timestampBeginCycles: 0n, timestampEndCycles: 0n, packetSeqNum: 0n };

/**
 * The last packet of a stream that is stored. Whoever asks has lost the connection of the session: it is given up here
 * first, so that what is answered holds.
 */
export const lastStored: Handler<'lastStored', CommandContext> = {
  handle({ relay }, { sessionPath, streamPath, channelName }) {
    const path = checkPath('session path', sessionPath, 1);
    const living = [...relay.sessions.values()].filter((session) => session.path === path.join('/'));
    for (const session of living) session.abort();
    if (living.length > 0) return { ret: relayRet.ok, busy: true, found: false, ...nothing };
    const directory = [relay.options.outputPath, ...path].join('/');
    const record = lastRecordOf(directory, checkPath('stream path', streamPath), channelName);
    if (record === undefined) return { ret: relayRet.ok, busy: false, found: false, ...nothing };
    const { packetSizeBits, timestampBeginCycles, timestampEndCycles, packetSeqNum = 0n } = record;
    const facts = { packetSizeBits, timestampBeginCycles, timestampEndCycles, packetSeqNum };
    return { ret: relayRet.ok, busy: false, found: true, ...facts };
  },
  refuse: ({ ret }) => ({ ret: ret ?? relayRet.unknown, busy: false, found: false, ...nothing }),
};

/** A packet will never come: its record says so, with offset -1. */
export const packetLost: Handler<'packetLost'> = {
  handle({ relay, session }, { streamId, cause, ...record }) {
    const { handle, trace } = ownDataStream(relay, session, 'packetLost', streamId);
    const { netSeqNum } = record;
    const metadataPositionBytes = trace.metadata?.ledger.metadataBytes ?? 0;
    const index: Index = { kind: 'index', stream: handle, ...record, metadataPositionBytes };
    relay.store.accept({ kind: 'lost', stream: handle, netSeqNum, cause, index });
    return { ret: relayRet.ok };
  },
};

/** The session that this connection will create goes on to another relay. */
export const forwardTo: Handler<'forwardTo', CommandContext> = {
  handle(context, { uri }) {
    if (context.relay.options.allowHops !== true)
      throw new MillraceError('MR_ERR_RELAY_HOPS', { command: 'forwardTo' });
    context.relay.forwarder?.checkRoute(uri);
    context.route = uri;
    return { ret: relayRet.ok };
  },
};
