/** ATTACH_SESSION, GET_NEW_STREAMS. */
import { limits } from '../../limits.ts';
import { fixedString, id, list, struct, u32, u64 } from '../../schema/index.ts';

export const attachSession = struct('attachSession', [
  ['sessionId', id('session'), 'relay session id'],
  ['offset', u64, 'ignored, 0 when sent'],
  ['seek', u32, 'seeks'],
]);

/** Where each stream begins that is there when a viewer attaches; later ones begin at their beginning. */
export const seeks = { beginning: 1, last: 2 } as const;

/** Streams of one `ctfTraceId` are one CTF trace; they have the same path. */
export const viewerStream = struct('viewerStream', [
  ['streamId', id('stream'), 'relay handle'],
  ['ctfTraceId', id('trace'), 'CTF trace id'],
  ['metadataFlag', u32, '1 = metadata stream'],
  ['pathName', fixedString(4096), 'text', 'of the CTF trace'],
  ['channelName', fixedString(255), 'text', '`CHANNEL_CPU` or `metadata`'],
]);

const streams = [
  ['streamCount', u32, 'streams', '0 unless ok'],
  ['streams', list('streamCount', viewerStream, { max: limits.streamsPerSession }), 'viewerStream'],
] as const;

export const attachSessionReply = struct('attachSessionReply', [['status', u32, 'attachStatus'], ...streams]);

export const attachStatus = {
  ok: 1,
  already: 2,
  unknown: 3,
  notLive: 4,
  seekError: 5,
  noViewerSession: 6,
} as const;

/**
 * Between millrace programs: as ATTACH_SESSION, but the viewer's places in the streams outlive its connection: whoever
 * says the same key within that time gets them back, streams that came and went meanwhile included.
 */
export const attachKept = struct('attachKept', [
  ['sessionId', id('session'), 'relay session id'],
  ['key', u64, 'names the viewer; a number that nobody guesses'],
  ['seek', u32, 'seeks', 'where there are no places'],
  ['keepSeconds', u32, 's', 'how long they are kept; the relay has a ceiling'],
]);

export const attachKeptReply = struct('attachKeptReply', [
  ['status', u32, 'attachStatus'],
  ['isKept', u32, '1 = places that were kept', 'each in front of the packet that was given out last'],
  ...streams,
]);

export const getNewStreams = struct('getNewStreams', [['sessionId', id('session'), 'relay session id']]);

export const getNewStreamsReply = struct('getNewStreamsReply', [
  ['status', u32, 'newStreamsStatus'],
  ...streams,
]);

export const newStreamsStatus = { ok: 1, noNew: 2, error: 3, hangUp: 4 } as const;
