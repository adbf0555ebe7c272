import { MillraceError, relayRet } from '../../errors.ts';
import { looseSlab } from '../../stage/slab.ts';
import type { Handler } from './handler.ts';
import { ownMetadataStream } from './streams.ts';

const nothing = looseSlab(Buffer.alloc(0));

/** The metadata is sent anew from its beginning: what readers have open stays as it is, a new file begins. */
export const resetMetadata: Handler<'resetMetadata'> = {
  handle({ relay, session }, { streamId }) {
    if (session.open.liveTimerUs > 0)
      throw new MillraceError('MR_ERR_RELAY_METADATA', {
        command: 'resetMetadata',
        why: 'the session is live',
      });
    const { handle } = ownMetadataStream(relay, session, 'resetMetadata', streamId);
    const version = (session.metadataVersions.get(handle) ?? 0) + 1;
    session.metadataVersions.set(handle, version);
    const frame = {
      session: session.id,
      stream: handle,
      version,
      start: 0,
      end: 0,
      last: true,
      paddingSizeBytes: 0,
    };
    relay.store.accept({ kind: 'metadata', ...frame }, nothing);
    return { ret: relayRet.ok };
  },
};
