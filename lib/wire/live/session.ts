/** CONNECT, LIST_SESSIONS, CREATE_SESSION, DETACH_SESSION. */
import { limits } from '../../limits.ts';
import { fixedString, id, list, struct, text, u32 } from '../../schema/index.ts';

/** Request and reply alike: each side says its own version, both then use the smaller minor. */
export const connect = struct('connect', [
  ['viewerSessionId', id('viewer'), 'ignored when asked, a counter in the reply'],
  ['major', u32, 'major version', 'must be 2'],
  ['minor', u32, 'minor version'],
  ['connectionType', u32, 'connectionTypes', '0 in the reply'],
]);

export const connectionTypes = { command: 1, notification: 2 } as const;

/**
 * Two millrace programs find each other by fields that all others ignore: a millrace viewer connects with this id,
 * and a millrace relay answers it alone with this type and, as id, with a number that names the relay's process: as
 * long as that is the same, ids of sessions and streams are. Then the private commands may be used.
 */
export const millrace = { viewerSessionId: 0x6d69_6c6c_7261_6365n, connectionType: 0x6d69_6c6c } as const;

export const listSessions = struct('listSessions', []);

const facts = [
  ['sessionId', id('session'), 'relay session id'],
  ['liveTimerUs', u32, 'us', '0 = not live'],
  ['clients', u32, 'viewers', '0 or 1 at other relays'],
  ['streams', u32, 'streams', 'metadata streams included'],
] as const;

export const viewerSession = struct('viewerSession', [
  ...facts,
  ['hostname', fixedString(64), 'text'],
  ['sessionName', fixedString(255), 'text'],
]);

export const viewerSession2_15 = struct('viewerSession2_15', [
  ...facts,
  ['hostnameLength', u32, 'bytes'],
  ['sessionNameLength', u32, 'bytes'],
  ['traceFormat', u32, 'viewerTraceFormats'],
  ['hostname', text('hostnameLength', { max: limits.listedNameBytes }), 'text'],
  ['sessionName', text('sessionNameLength', { max: limits.listedNameBytes }), 'text'],
]);

/** Not the numbers of the producers' protocol. */
export const viewerTraceFormats = { ctf1_8: 0, ctf2: 1 } as const;

export const listSessionsReply = struct('listSessionsReply', [
  ['sessionCount', u32, 'sessions'],
  ['sessions', list('sessionCount', viewerSession, { max: limits.listedSessions }), 'viewerSession'],
]);

export const listSessionsReply2_15 = struct('listSessionsReply2_15', [
  ['sessionCount', u32, 'sessions'],
  ['sessions', list('sessionCount', viewerSession2_15, { max: limits.listedSessions }), 'viewerSession2_15'],
]);

export const createSession = struct('createSession', []);

export const createSessionReply = struct('createSessionReply', [['status', u32, 'createStatus']]);

export const createStatus = { ok: 1, error: 2 } as const;

export const detachSession = struct('detachSession', [['sessionId', id('session'), 'relay session id']]);

export const detachSessionReply = struct('detachSessionReply', [['status', u32, 'detachStatus']]);

export const detachStatus = { ok: 1, unknown: 2, error: 3 } as const;
