/** One viewer's place in one stream of a session that it is attached to. */
import type { PacketCursor, StoredPacket } from '../../disk/packet-cursor.ts';
import type { MetadataCursor } from '../../disk/stored-metadata.ts';
import { newTopic, type Topic } from './idle-pace.ts';
import type { LiveData, LiveMetadata, LiveStream } from './live-session.ts';
import type { ViewedSession } from './viewed-session.ts';

interface Facts {
  readonly viewed: ViewedSession;
  readonly topic: Topic;
  /** Ends being told of news, and gives up what is held. */
  close(): void;
}

export interface ViewedData extends Facts {
  readonly live: LiveData;
  readonly cursor: PacketCursor;
  /** The packet of the last index: GET_PACKET reads in its file. */
  given: StoredPacket | undefined;
  /** The time that was handed out last as one until which nothing happened, and the beacon that it came of. */
  quietCycles: bigint | undefined;
  beaconCycles: bigint | undefined;
}

export interface ViewedMetadata extends Facts {
  readonly live: LiveMetadata;
  readonly cursor: MetadataCursor;
}

export type ViewedStream = ViewedData | ViewedMetadata;

/** Whether it is a data stream. */
export function isData(stream: ViewedStream): stream is ViewedData {
  return stream.live.kind === 'data';
}

/** A place in `live`, at its beginning or behind its last packet; metadata always begins at its first byte. */
export function viewStream(
  viewed: ViewedSession,
  live: LiveStream,
  from: 'beginning' | 'last',
): ViewedStream {
  const topic = newTopic();
  const { stored } = live.writer;
  // Metadata concerns all streams of its trace.
  const unwatch = stored.watch(() => viewed.news(live.kind === 'metadata' ? undefined : topic));
  const closeBoth = (cursor: { close(): void }) => () => {
    unwatch();
    cursor.close();
  };
  if (live.kind === 'metadata') {
    const cursor = live.writer.stored.open();
    return { viewed, live, topic, cursor, close: closeBoth(cursor) };
  }
  const cursor = live.writer.stored.open(from);
  const place = { cursor, given: undefined, quietCycles: undefined, beaconCycles: undefined };
  return { viewed, live, topic, ...place, close: closeBoth(cursor) };
}
