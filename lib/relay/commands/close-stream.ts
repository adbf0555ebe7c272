import { relayRet } from '../../errors.ts';
import { none } from '../../wire/relay/index.ts';
import type { Handler } from './handler.ts';
import { ownStream } from './streams.ts';

/**
 * The producer has sent everything of this stream. Its data, or the last index, may still be under way: it is
 * kept until the packets up to `lastNetSeqNum` are complete.
 */
export const closeStream: Handler<'closeStream'> = {
  handle({ relay, session }, { streamId, lastNetSeqNum }) {
    const { handle } = ownStream(relay, session, 'closeStream', streamId);
    const last = lastNetSeqNum === none ? undefined : lastNetSeqNum;
    relay.store.accept({ kind: 'streamEnd', session: session.id, stream: handle, lastNetSeqNum: last });
    return { ret: relayRet.ok };
  },
};
