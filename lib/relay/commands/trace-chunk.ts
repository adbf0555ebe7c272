/** Trace chunks: opened, closed, asked about; and streams that leave them. Source: relay-protocol, "Trace chunks". */

import { shownPath } from '../../disk/passing.ts';
import { type ErrorCode, MillraceError, relayRet } from '../../errors.ts';
import type { ChunkDone } from '../../stage/frames.ts';
import type { Handler } from './handler.ts';
import { ownStream } from './streams.ts';

const actions: Readonly<Record<number, ChunkDone['action']>> = {
  0: 'moveToCompleted',
  1: 'none',
  2: 'delete',
};

/** What a name that is no name is found by. */
const badName: ReadonlySet<ErrorCode> = new Set([
  'MR_ERR_WIRE_VALUE',
  'MR_ERR_WIRE_STRING',
  'MR_ERR_WIRE_LONG',
]);

export const createTraceChunk: Handler<'createTraceChunk'> = {
  handle({ relay, session }, { chunkId, creationTimeS, overrideName }) {
    if (overrideName !== undefined && !/^[^./]+$/.test(overrideName))
      throw new MillraceError('MR_ERR_WIRE_VALUE', {
        what: 'createTraceChunk',
        field: 'the name',
        got: `"${overrideName}"`,
        expected: 'one name without dots and slashes',
      });
    relay.store.accept({
      kind: 'chunkOpen',
      session: session.id,
      chunk: chunkId,
      creationTimeS,
      overrideName,
    });
    return { ret: relayRet.ok };
  },
  refuse: ({ code }) => (badName.has(code) ? { ret: relayRet.invalid } : undefined),
};

export const closeTraceChunk: Handler<'closeTraceChunk'> = {
  handle({ relay, session }, { chunkId, closeTimeS, command }) {
    const action = actions[command ?? 1];
    if (action === undefined)
      throw new MillraceError('MR_ERR_WIRE_VALUE', {
        what: 'closeTraceChunk',
        field: 'command',
        got: command ?? '',
        expected: '0 to 2',
      });
    if (action === 'delete' && relay.options.disallowClear)
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'closeTraceChunk',
        why: 'clearing is not allowed',
      });
    relay.store.accept({ kind: 'chunkDone', session: session.id, chunk: chunkId, closeTimeS, action });
    return { ret: relayRet.ok, path: shownPath(relay.store.session(session.id)?.closedPath ?? '') };
  },
  refuse: ({ code, ret }) =>
    ret === undefined
      ? undefined
      : { ret: code === 'MR_ERR_WIRE_VALUE' ? relayRet.invalid : ret, path: undefined },
};

export const traceChunkExists: Handler<'traceChunkExists'> = {
  handle({ relay, session }, { chunkId }) {
    return { ret: relayRet.ok, exists: relay.store.chunkExists(session.id, chunkId) };
  },
};

/** The whole request is checked before the first stream is touched. */
export const rotateStreams: Handler<'rotateStreams'> = {
  handle({ relay, session }, { newChunkId, streams }) {
    if (newChunkId !== undefined && !relay.store.chunkExists(session.id, newChunkId))
      throw new MillraceError('MR_ERR_RELAY_CHUNK', {
        command: 'rotateStreams',
        why: `trace chunk ${newChunkId} is unknown`,
      });
    for (const { streamId } of streams) {
      const { writer, handle } = ownStream(relay, session, 'rotateStreams', streamId);
      if ('switching' in writer && writer.switching)
        throw new MillraceError('MR_ERR_RELAY_STREAM_ROTATING', { command: 'rotateStreams', stream: handle });
    }
    for (const { streamId, rotateAtSeqNum } of streams)
      relay.store.accept({
        kind: 'switch',
        stream: Number(streamId),
        atPacketSeqNum: rotateAtSeqNum,
        chunk: newChunkId,
      });
    return { ret: relayRet.ok };
  },
  refuse: ({ code }) => (code === 'MR_ERR_RELAY_STREAM_UNKNOWN' ? { ret: relayRet.invalid } : undefined),
};
