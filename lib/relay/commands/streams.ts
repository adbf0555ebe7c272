/** Finds a stream that a request names. */

import { MetadataWriter } from '../../disk/metadata-writer.ts';
import { StreamWriter } from '../../disk/stream-writer.ts';
import { MillraceError } from '../../errors.ts';
import type { RelaySession, RelayStream } from '../session.ts';
import type { RelayState } from '../state.ts';

/**
 * The stream with this handle, if it is the session's own. Errors: MR_ERR_RELAY_STREAM_UNKNOWN,
 * MR_ERR_RELAY_STREAM_FOREIGN.
 */
export function ownStream(
  relay: RelayState,
  session: RelaySession,
  command: string,
  handle: bigint,
): RelayStream {
  const stream = relay.streams.get(Number(handle));
  if (stream === undefined)
    throw new MillraceError('MR_ERR_RELAY_STREAM_UNKNOWN', { command, stream: handle });
  if (stream.session !== session)
    throw new MillraceError('MR_ERR_RELAY_STREAM_FOREIGN', { command, stream: handle });
  return stream;
}

/** As `ownStream`, for a data stream. Errors also: MR_ERR_RELAY_STREAM_KIND. */
export function ownDataStream(
  relay: RelayState,
  session: RelaySession,
  command: string,
  handle: bigint,
): RelayStream & { writer: StreamWriter } {
  const stream = ownStream(relay, session, command, handle);
  if (!isDataStream(stream)) throw wrongKind(command, handle, 'is a metadata stream');
  return stream;
}

/** As `ownStream`, for a metadata stream. Errors also: MR_ERR_RELAY_STREAM_KIND. */
export function ownMetadataStream(
  relay: RelayState,
  session: RelaySession,
  command: string,
  handle: bigint,
): RelayStream {
  const stream = ownStream(relay, session, command, handle);
  if (!(stream.writer instanceof MetadataWriter)) throw wrongKind(command, handle, 'is no metadata stream');
  return stream;
}

function isDataStream(stream: RelayStream): stream is RelayStream & { writer: StreamWriter } {
  return stream.writer instanceof StreamWriter;
}

function wrongKind(command: string, stream: bigint, reason: string): MillraceError {
  return new MillraceError('MR_ERR_RELAY_STREAM_KIND', { command, stream, why: reason });
}
