/** VERSION, GET_CONFIGURATION, CREATE_SESSION. */
import { limits } from '../../limits.ts';
import {
  bytes,
  fixedString,
  flag,
  id,
  optional,
  optionalString,
  sizedString,
  struct,
  u8,
  u32,
  u64,
} from '../../schema/index.ts';

/** Request and reply alike: each side says its own version, both then use the smaller minor. */
export const version = struct('version', [
  ['major', u32, 'major version', 'must be 2'],
  ['minor', u32, 'minor version'],
]);

export const getConfiguration = struct('getConfiguration', [
  ['queryFlags', u64, 'flags', '0; `privateQuery` between millrace programs'],
]);

export const getConfigurationReply = struct('getConfigurationReply', [
  ['ret', u32, 'return code'],
  ['flags', u64, 'configurationFlags'],
]);

/** What a relay says about itself. */
export const configurationFlags = { clearAllowed: 1n } as const;

/** Before 2.4 a session has no name: streams bring whole paths. */
export const createSession = struct('createSession', []);

export const createSession2_4 = struct('createSession2_4', [
  ['sessionName', fixedString(255), 'text'],
  ['hostname', fixedString(64), 'text'],
  ['liveTimerUs', u32, 'us', '0 = not live'],
  ['snapshot', flag(u32), 'boolean'],
]);

const head = [
  ['sessionNameLength', u32, 'bytes with NUL'],
  ['hostnameLength', u32, 'bytes with NUL'],
  ['basePathLength', u32, 'bytes with NUL', 'producers send at least 1'],
  ['liveTimerUs', u32, 'us', '0 = not live'],
  ['snapshot', flag(u8), 'boolean'],
  ['nameHasCreationTime', flag(u8), 'boolean'],
  ['sessiondUuid', bytes(16), 'UUID', 'not all zero'],
  ['idSessiond', u64, "the sessiond's own session id"],
  ['creationTimeS', u64, 's since 1970'],
  ['currentChunkId', optional(u64), 'chunk id'],
] as const;

const names = [
  ['sessionName', sizedString('sessionNameLength', { max: limits.sessionNameLength }), 'text'],
  ['hostname', sizedString('hostnameLength', { max: limits.hostnameLength }), 'text'],
  ['basePath', optionalString('basePathLength', { max: limits.basePathLength }), 'text'],
] as const;

export const createSession2_11 = struct('createSession2_11', [...head, ...names]);

export const createSession2_15 = struct('createSession2_15', [
  ...head,
  ['traceFormat', u32, 'traceFormats'],
  ...names,
]);

/** Which format the packets and the metadata of a session have. */
export const traceFormats = { ctf1_8: 1, ctf2: 2 } as const;

export const createSessionReply = struct('createSessionReply', [
  ['sessionId', id('session'), 'relay session id', '0 on failure'],
  ['ret', u32, 'return code'],
]);

/** A failure has no path: length 0. The producer reads the length first, so a failure must be followed by a close. */
export const createSessionReply2_11 = struct('createSessionReply2_11', [
  ['sessionId', id('session'), 'relay session id', '0 on failure'],
  ['ret', u32, 'return code'],
  ['outputPathLength', u32, 'bytes with NUL', '0 on failure'],
  [
    'outputPath',
    optionalString('outputPathLength', { max: limits.replyPathBytes - 2 }),
    'text',
    'relative to the output directory',
  ],
]);
