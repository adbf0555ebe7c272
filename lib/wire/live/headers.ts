import { struct, u32, u64 } from '../../schema/index.ts';

/** In front of every request. Replies have no header. */
export const viewerHeader = struct('viewerHeader', [
  ['dataSizeBytes', u64, 'bytes', 'payload that follows; relays go by the command alone'],
  ['command', u32, 'command code'],
  ['commandVersion', u32, 'ignored, 0 when sent'],
]);

/** Bits in the flags of GET_NEXT_INDEX and (2.4 and 2.5 only) GET_PACKET. */
export const viewerFlags = {
  /** GET_METADATA must be asked, until it has no more, before this packet can be decoded. */
  newMetadata: 1,
  /** An attached session has streams that were not shown yet. */
  newStream: 2,
} as const;

/** What relays answer to a number that is no command, before they close. */
export const unknownCommand = struct('unknownCommand', [['code', u32, 'relayRet']]);
