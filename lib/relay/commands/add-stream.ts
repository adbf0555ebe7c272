import { MillraceError, relayRet } from '../../errors.ts';
import { tell } from '../../telemetry.ts';
import type { Handler } from './handler.ts';

const noHandle = 0xffff_ffff_ffff_ffffn;

/** Adds a stream to the session; its data file is made now. Nothing of it is shown to viewers before STREAMS_SENT. */
export const addStream: Handler<'addStream'> = {
  handle({ relay, session, peer }, request) {
    const { limits, store } = relay;
    const got = Math.max(
      session.streams.size,
      relay.streams.size - limits.streams + limits.streamsPerSession,
    );
    if (got >= limits.streamsPerSession)
      throw new MillraceError('MR_ERR_RELAY_STREAMS', {
        command: 'addStream',
        got: got + 1,
        expected: limits.streamsPerSession,
      });
    relay.lastStream += 1;
    const handle = relay.lastStream;
    store.accept({
      kind: 'streamOpen',
      session: session.id,
      stream: handle,
      channelName: request.channelName,
      path: request.pathName,
      tracefileSizeBytes: request.tracefileSizeBytes ?? 0n,
      tracefileCount: request.tracefileCount ?? 0n,
    });
    const writer = store.stream(handle);
    if (writer === undefined)
      throw new MillraceError('MR_ERR_RELAY_STREAM_UNKNOWN', { command: 'addStream', stream: handle });
    relay.streams.set(handle, session.addStream(handle, request.pathName, writer));
    relay.totals.streams += 1;
    tell(
      'debug',
      'relay:stream-open',
      `stream ${handle} ${writer.path}/${writer.name} of session ${session.id}`,
      { peer, stream: handle },
    );
    return { handle: BigInt(handle), ret: relayRet.ok };
  },
  refuse: ({ code }) =>
    code === 'MR_ERR_RELAY_STATE' ? undefined : { handle: noHandle, ret: relayRet.unknown },
};
