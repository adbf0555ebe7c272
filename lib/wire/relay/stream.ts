/** ADD_STREAM, STREAMS_SENT, CLOSE_STREAM. */
import { limits } from '../../limits.ts';
import { fixedString, id, sizedString, struct, u32, u64 } from '../../schema/index.ts';

/** A path field has room for 4096 bytes, but relays take no longer path than in the later layout. */
const fixedNames = [
  [
    'channelName',
    fixedString(264, { max: limits.channelNameLength }),
    'text',
    '`metadata` = metadata stream',
  ],
  [
    'pathName',
    fixedString(4096, { max: limits.streamPathLength }),
    'text',
    'relative to the output directory',
  ],
] as const;

const tracefile = [
  ['tracefileSizeBytes', u64, 'bytes', '0 = unlimited'],
  ['tracefileCount', u64, 'files', '0 = no ring'],
] as const;

export const addStream = struct('addStream', fixedNames);

export const addStream2_2 = struct('addStream2_2', [...fixedNames, ...tracefile]);

export const addStream2_11 = struct('addStream2_11', [
  ['channelNameLength', u32, 'bytes with NUL'],
  ['pathNameLength', u32, 'bytes with NUL'],
  ...tracefile,
  ['traceChunkId', u64, 'chunk id', "ignored: the session's current chunk counts"],
  [
    'channelName',
    sizedString('channelNameLength', { max: limits.channelNameLength }),
    'text',
    '`metadata` = metadata stream',
  ],
  [
    'pathName',
    sizedString('pathNameLength', { max: limits.streamPathLength }),
    'text',
    'relative to the chunk',
  ],
]);

export const addStreamReply = struct('addStreamReply', [
  ['handle', id('stream'), 'relay handle', '2^64 - 1 on failure'],
  ['ret', u32, 'return code'],
]);

export const streamsSent = struct('streamsSent', []);

export const closeStream = struct('closeStream', [
  ['streamId', id('stream'), 'relay handle'],
  ['lastNetSeqNum', u64, 'packets sent', '2^64 - 1 = none was'],
]);
