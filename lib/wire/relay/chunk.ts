/** CREATE_TRACE_CHUNK, CLOSE_TRACE_CHUNK, TRACE_CHUNK_EXISTS, ROTATE_STREAMS. */
import { limits } from '../../limits.ts';
import { flag, id, list, optional, optionalString, struct, u8, u32, u64 } from '../../schema/index.ts';

export const createTraceChunk = struct('createTraceChunk', [
  ['chunkId', u64, 'chunk id'],
  ['creationTimeS', u64, 's since 1970'],
  ['overrideNameLength', u32, 'bytes with NUL', '0 = none'],
  [
    'overrideName',
    optionalString('overrideNameLength', { max: limits.chunkNameLength }),
    'text',
    'snapshots only',
  ],
]);

export const closeTraceChunk = struct('closeTraceChunk', [
  ['chunkId', u64, 'chunk id'],
  ['closeTimeS', u64, 's since 1970'],
  ['command', optional(u32), 'closeCommands', 'unset = none'],
]);

/** What becomes of a closed chunk. */
export const closeCommands = { moveToCompleted: 0, none: 1, delete: 2 } as const;

export const closeTraceChunkReply = struct('closeTraceChunkReply', [
  ['ret', u32, 'return code'],
  ['pathLength', u32, 'bytes with NUL', '0 on failure'],
  [
    'path',
    optionalString('pathLength', { max: limits.replyPathBytes - 2 }),
    'text',
    'relative to the output directory',
  ],
]);

export const traceChunkExists = struct('traceChunkExists', [['chunkId', u64, 'chunk id']]);

export const traceChunkExistsReply = struct('traceChunkExistsReply', [
  ['ret', u32, 'return code'],
  ['exists', flag(u8), 'boolean'],
]);

export const rotateStream = struct('rotateStream', [
  ['streamId', id('stream'), 'relay handle'],
  ['rotateAtSeqNum', u64, 'packets produced', 'first packet_seq_num of the next chunk; 0 for metadata'],
]);

/**
 * The optional chunk id was never packed, so its value lies where the producer's compiler aligned it. The form
 * shows in the total size alone, hence it must fit exactly. The padding is uninitialised memory of the producer.
 */
function rotateStreams(name: string, padding: number) {
  return struct(
    name,
    [
      ['streamCount', u32, 'streams'],
      ['newChunkId', optional(u64, { padding }), 'chunk id', 'unset = leave the chunk for none'],
      ['streams', list('streamCount', rotateStream, { max: limits.streamsPerSession }), 'rotateStream'],
    ],
    { exact: true },
  );
}

/** 64-bit producers, and what to send: relays before 2.12.7 and 2.13.2 know their own machine's form only. */
export const rotateStreamsAligned8 = rotateStreams('rotateStreamsAligned8', 7);

/** 32-bit x86 producers. */
export const rotateStreamsAligned4 = rotateStreams('rotateStreamsAligned4', 3);

/** Producers whose build packs every structure. */
export const rotateStreamsPacked = rotateStreams('rotateStreamsPacked', 0);
