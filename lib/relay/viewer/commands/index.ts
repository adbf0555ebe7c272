/** Every command's handler, by name; the table in `lib/wire/live` says which there are. */
import type { ViewerCommandName } from '../../../wire/live/index.ts';
import { getMetadata, getPacket, seekStream } from './bytes.ts';
import { connect } from './connect.ts';
import { createSession } from './create-session.ts';
import type { ViewerHandler } from './handler.ts';
import { listSessions } from './list-sessions.ts';
import { getNextIndex, getNextRecord } from './next-index.ts';
import { attachKept, attachSession, detachSession, getNewStreams } from './streams.ts';

export const viewerHandlers: { readonly [N in ViewerCommandName]: ViewerHandler<N> } = {
  connect,
  listSessions,
  createSession,
  attachSession,
  getNewStreams,
  detachSession,
  getNextIndex,
  getPacket,
  getMetadata,
  getNextRecord,
  seekStream,
  attachKept,
};
