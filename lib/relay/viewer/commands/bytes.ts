/** The two commands that bring bytes: of packets, and of metadata. And the private one that says where to go on. */
import { metadataStatus, packetStatus, seekStatus } from '../../../wire/live/index.ts';
import { isData } from '../viewed-stream.ts';
import { packetPayload, type ViewerContext, type ViewerHandler } from './handler.ts';

/** Bytes of the file that the last index of the stream was about: a packet, or whatever part of the file is asked for. */
export const getPacket: ViewerHandler<'getPacket'> = {
  handle(context, { streamId, offsetBytes, lengthBytes }) {
    const stream = context.streams.get(Number(streamId));
    const given = stream !== undefined && isData(stream) ? stream.given : undefined;
    // an offset beyond all files is no number, and not within the file
    const position = Number(offsetBytes);
    const end = position + lengthBytes;
    if (given === undefined || end > given.file.committedBytes)
      return { reply: { status: packetStatus.error, lengthBytes: 0, flags: 0 } };
    const reply = { status: packetStatus.ok, lengthBytes, flags: 0 };
    if (lengthBytes === 0) return { reply };
    const { data: file } = given.file;
    const packet = packetPayload(given);
    const left = packet.position + packet.bytes - end;
    return {
      reply,
      payload: { file, position, bytes: lengthBytes },
      ahead: left > 0 ? { file, position: end, bytes: left } : undefined,
    };
  },
};

/**
 * Everything that is new, up to the end of a command: never a part of a metadata packet, on which viewers hang, and
 * never OK without bytes. Finished metadata is NO_NEW: some viewers take an error for the end of everything.
 */
export const getMetadata: ViewerHandler<'getMetadata'> = {
  handle(context, { streamId }) {
    const stream = context.streams.get(Number(streamId));
    if (stream === undefined || isData(stream))
      return { reply: { lengthBytes: 0n, status: metadataStatus.error } };
    const { topic, cursor, viewed } = stream;
    const taken = cursor.take();
    if (taken === undefined) {
      viewed.dropIfOver(stream);
      return { reply: { lengthBytes: 0n, status: metadataStatus.noNew }, topic, idle: true };
    }
    const { file, position, bytes } = taken;
    const reply = { lengthBytes: BigInt(bytes), status: metadataStatus.ok };
    return { reply, topic, payload: { file: file.data, position, bytes } };
  },
};

/**
 * A millrace viewer that had to connect again goes on where it was. Only forwards; what is not there any more counts as
 * lost, and of a stream that has ended meanwhile it is told how many packets that had.
 */
export const seekStream: ViewerHandler<'seekStream'> = {
  handle(context, { streamId, position }) {
    const handle = Number(streamId);
    const stream = context.streams.get(handle);
    if (position > BigInt(Number.MAX_SAFE_INTEGER))
      return { reply: { status: seekStatus.error, position: 0n } };
    if (stream === undefined) return { reply: closedStream(context, handle, Number(position)) };
    stream.cursor.seek(Number(position));
    return { reply: { status: seekStatus.ok, position: 0n } };
  },
};

function closedStream({ attached }: ViewerContext, handle: number, position: number) {
  for (const viewed of attached?.values() ?? []) {
    const packets = viewed.live.closedStreams.get(handle);
    if (packets === undefined) continue;
    viewed.lostPackets += Math.max(0, packets - position);
    return { status: seekStatus.ended, position: BigInt(packets) };
  }
  return { status: seekStatus.error, position: 0n };
}
