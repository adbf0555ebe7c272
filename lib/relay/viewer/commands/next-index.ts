/**
 * GET_NEXT_INDEX, and the private command that brings the whole record. A packet is offered when it is committed, and
 * the metadata that had come before its index as well. Source: live-protocol, "GET_NEXT_INDEX: decision procedure".
 */
import type { StoredPacket, Taken } from '../../../disk/packet-cursor.ts';
import type { MillraceError } from '../../../errors.ts';
import { tell } from '../../../telemetry.ts';
import { indexStatus, viewerFlags } from '../../../wire/live/index.ts';
import { isData, type ViewedData, type ViewedStream } from '../viewed-stream.ts';
import { type Answer, packetPayload, type ViewerContext, type ViewerHandler } from './handler.ts';

/** What is known of the next packet of a stream. */
interface Next {
  status: number;
  packet?: StoredPacket;
  /** With status `inactive`. */
  timestampEndCycles?: bigint;
  idle?: boolean;
}

const nothing: Next = { status: indexStatus.retry, idle: true };
const unknownField = 0xffff_ffff_ffff_ffffn;
const hangUp: Next = { status: indexStatus.hangUp };
const failed: Next = { status: indexStatus.error };

function next(context: ViewerContext, stream: ViewedStream): Next | Promise<Next> {
  if (!isData(stream)) return hangUp;
  const { cursor, live } = stream;
  const metadata = live.trace.metadata?.writer.stored;
  const isReadable = cursor.available && cursor.position < live.limit;
  if (isReadable) return metadata?.isBehind === true || !cursor.ready ? nothing : take(context, stream);
  const { stored } = live.writer;
  if (stored.ended && (cursor.atEnd || stored.failed || cursor.position >= live.limit)) {
    stream.viewed.drop(stream);
    return hangUp;
  }
  return inactive(context, stream);
}

/** The record of the packet, read from its index file. */
function take(context: ViewerContext, stream: ViewedData): Next | Promise<Next> {
  const taken = stream.cursor.take();
  return taken instanceof Promise
    ? taken.then((later) => given(context, stream, later))
    : given(context, stream, taken);
}

function given(context: ViewerContext, stream: ViewedData, { packet, error }: Taken): Next | Promise<Next> {
  if (error !== undefined) return unreadable(context, stream, error);
  // a record that only says that its packet is lost: there may be another behind it
  if (packet === undefined) return next(context, stream);
  stream.given = packet;
  stream.quietCycles = undefined;
  return { status: indexStatus.ok, packet };
}

function unreadable({ peer }: ViewerContext, stream: ViewedData, error: MillraceError): Next {
  const { handle } = stream.live;
  tell(
    'error',
    'relay:unreadable',
    `${peer}: stream ${handle}: ${error.message}`,
    { peer, stream: handle },
    error.code,
  );
  return failed;
}

/**
 * Nothing is there to read: until when nothing happened, if the producer said so and all before it was read.
 *
 * babeltrace2 2.0 ends with an error when a stream that it is shown later begins before a time that it was told to be
 * quiet, and it learns of new streams only with a packet. So a beacon waits until nothing is likely to come that is
 * older; and while there are streams that the viewer was not shown, each beacon moves its time on by a cycle: it does
 * not get ahead of them, and as it sees time move it goes on asking for packets everywhere.
 */
function inactive({ relay }: ViewerContext, stream: ViewedData): Next {
  const { writer } = stream.live;
  const { timestampEndCycles, streamClassId, afterIndexes, atMs } = writer.ledger.beacon;
  const isKnown = timestampEndCycles !== undefined && streamClassId !== undefined;
  if (!isKnown || writer.stored.count < afterIndexes || stream.cursor.available) return nothing;
  const isNew = timestampEndCycles !== stream.beaconCycles;
  const isRipe = performance.now() - atMs >= relay.limits.beaconGraceMs;
  if (isNew && isRipe) {
    stream.beaconCycles = timestampEndCycles;
    const before = stream.quietCycles ?? stream.given?.record.timestampEndCycles;
    if (!stream.viewed.hides) stream.quietCycles = timestampEndCycles;
    else if (before !== undefined && before < timestampEndCycles) stream.quietCycles = before + 1n;
    else return nothing;
    return { status: indexStatus.inactive, timestampEndCycles: stream.quietCycles };
  }
  const quiet = stream.quietCycles;
  return quiet === undefined
    ? nothing
    : { status: indexStatus.inactive, timestampEndCycles: quiet, idle: true };
}

/** As viewers act on them: metadata only where asking for it brings some. */
function flagsOf(context: ViewerContext, stream: ViewedStream): number {
  const metadata = stream.viewed.metadataOf(stream.live.trace);
  let flags = metadata !== undefined && metadata.cursor.availableBytes > 0 ? viewerFlags.newMetadata : 0;
  for (const viewed of context.attached?.values() ?? []) if (viewed.hasNew) flags |= viewerFlags.newStream;
  return flags;
}

/** Whether any stream has something to be read. */
function hasPackets({ streams }: ViewerContext): boolean {
  for (const stream of streams.values()) if (isData(stream) && stream.cursor.available) return true;
  return false;
}

interface IndexAnswer extends Answer<'getNextIndex'> {
  packet: StoredPacket | undefined;
}

function indexReply(context: ViewerContext, stream: ViewedStream | undefined, found: Next): IndexAnswer {
  const { status, packet, idle, timestampEndCycles } = found;
  const flags = stream === undefined ? 0 : flagsOf(context, stream);
  if (packet !== undefined) context.totals.packets += 1;
  const { record } = packet ?? {};
  const isInactive = status === indexStatus.inactive && stream !== undefined && isData(stream);
  const reply = {
    offsetBytes: record?.offsetBytes ?? 0n,
    packetSizeBits: record?.packetSizeBits ?? 0n,
    contentSizeBits: record?.contentSizeBits ?? 0n,
    timestampBeginCycles: record?.timestampBeginCycles ?? 0n,
    timestampEndCycles: record?.timestampEndCycles ?? timestampEndCycles ?? 0n,
    eventsDiscarded: record?.eventsDiscarded ?? 0n,
    streamClassId:
      record?.streamClassId ?? (isInactive ? (stream.live.writer.ledger.beacon.streamClassId ?? 0n) : 0n),
    status,
    flags,
  };
  const lingers = idle === true && flags === 0 && !hasPackets(context);
  return { reply, topic: stream?.topic, idle, lingers, packet, ahead: packet && packetPayload(packet) };
}

function answer(context: ViewerContext, streamId: bigint): IndexAnswer | Promise<IndexAnswer> {
  const stream = context.streams.get(Number(streamId));
  if (stream === undefined) return indexReply(context, undefined, failed);
  const found = next(context, stream);
  return found instanceof Promise
    ? found.then((later) => indexReply(context, stream, later))
    : indexReply(context, stream, found);
}

export const getNextIndex: ViewerHandler<'getNextIndex'> = {
  handle: (context, { streamId }) => answer(context, streamId),
};

/** Only between millrace programs: whatever the index file has, and how many packets were missed. */
export const getNextRecord: ViewerHandler<'getNextRecord'> = {
  handle(context, { streamId }) {
    // a stream that was read to its end is dropped with the answer
    const stream = context.streams.get(Number(streamId));
    const found = answer(context, streamId);
    return found instanceof Promise
      ? found.then((later) => recordAnswer(stream, later))
      : recordAnswer(stream, found);
  },
};

function recordAnswer(
  stream: ViewedStream | undefined,
  { reply, packet, topic, idle, lingers, ahead }: IndexAnswer,
): Answer<'getNextRecord'> {
  const cursor = stream !== undefined && isData(stream) ? stream.cursor : undefined;
  const more = {
    streamInstanceId: packet?.record.streamInstanceId ?? unknownField,
    packetSeqNum: packet?.record.packetSeqNum ?? unknownField,
    position: BigInt(packet?.position ?? cursor?.position ?? 0),
    lostPackets: BigInt(cursor?.lostPackets ?? 0),
  };
  return { reply: { ...reply, ...more }, topic, idle, lingers, ahead };
}
