/** What a source of frames brings, and the files that a plain reader of the grammar would make of it. */
import { type Readable, Writable } from 'node:stream';
import type { FrameBatch } from '../../lib/stage/batch.ts';
import { compose, type Outcome } from '../../lib/stage/compose.ts';
import type { Frame, FrameKind, Index } from '../../lib/stage/frames.ts';
import { order } from '../../lib/stage/order.ts';

/** A frame, with a copy of its bytes. */
export type Read<F extends Frame = Frame> = F & { bytes?: Buffer };

/** Frames of a kind. */
export function only<K extends FrameKind>(
  frames: readonly Read[],
  kind: K,
): Read<Extract<Frame, { kind: K }>>[] {
  return frames.filter((frame): frame is Read<Extract<Frame, { kind: K }>> => frame.kind === kind);
}

/** Reads a source to its end through an order stage, which refuses whatever breaks the grammar. */
export async function readFrames(source: Readable): Promise<{ frames: Read[]; outcome: Outcome }> {
  const frames: Read[] = [];
  const pipe = compose([
    { name: 'source', stream: source },
    { name: 'order', stream: order() },
    { name: 'sink', stream: frameSink((frame) => frames.push(frame)) },
  ]);
  return { frames, outcome: await pipe.outcome };
}

/** Hands over each frame with its bytes, and gives the slab back. */
export function frameSink(take: (frame: Read) => void): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write({ frames, slab }: FrameBatch, _encoding, callback) {
      for (const frame of frames)
        take(
          'start' in frame && slab !== undefined
            ? { ...frame, bytes: Buffer.from(slab.bytes.subarray(frame.start, frame.end)) }
            : frame,
        );
      slab?.release();
      callback();
    },
  });
}

/** A stored stream file: `CHUNK PATH/NAME`, its bytes, and its index with the offset of each packet. */
export interface Rebuilt {
  bytes: Buffer;
  records: { offsetBytes: number; index: Index }[];
}

/** What a writer that splits tracefiles as `streamOpen` says makes of frames, by chunk, path and name. */
export function rebuild(frames: readonly Read[]): Map<string, Rebuilt> {
  const files = new Map<string, Rebuilt>();
  const chunkOf = new Map<number, bigint>();
  const streams = new Map<number, { place: string; limit: number; chunk: bigint; number: number }>();
  const packets = new Map<string, { file: Rebuilt; offsetBytes: number }>();
  const fileOf = (stream: number): Rebuilt => {
    const { place, limit, chunk, number } = streams.get(stream) as NonNullable<
      ReturnType<typeof streams.get>
    >;
    const name = `${chunk} ${place}${limit > 0 ? `_${number}` : ''}`;
    const file = files.get(name) ?? { bytes: Buffer.alloc(0), records: [] };
    files.set(name, file);
    return file;
  };
  for (const frame of frames) {
    if (frame.kind === 'chunkOpen') chunkOf.set(frame.session, frame.chunk);
    else if (frame.kind === 'streamOpen') {
      const chunk = chunkOf.get(frame.session) ?? 0n;
      const limit = Number(frame.tracefileSizeBytes);
      streams.set(frame.stream, { place: `${frame.path}/${frame.channelName}`, limit, chunk, number: 0 });
      fileOf(frame.stream);
    } else if (frame.kind === 'switch') {
      Object.assign(streams.get(frame.stream) ?? {}, { chunk: frame.chunk, number: 0 });
      fileOf(frame.stream);
    } else if (frame.kind === 'metadata') {
      const file = fileOf(frame.stream);
      file.bytes = Buffer.concat([file.bytes, frame.bytes as Buffer]);
    } else if (frame.kind === 'data') {
      const stream = streams.get(frame.stream);
      let file = fileOf(frame.stream);
      if (frame.offsetBytes === 0) {
        const isFull =
          file.bytes.length > 0 && file.bytes.length + frame.dataSizeBytes > (stream?.limit ?? 0);
        if (stream !== undefined && stream.limit > 0 && isFull) {
          stream.number += 1;
          file = fileOf(frame.stream);
        }
        packets.set(`${frame.stream} ${frame.netSeqNum}`, { file, offsetBytes: file.bytes.length });
      }
      file.bytes = Buffer.concat([file.bytes, frame.bytes as Buffer]);
    } else if (frame.kind === 'index') {
      const packet = packets.get(`${frame.stream} ${frame.netSeqNum}`);
      packet?.file.records.push({ offsetBytes: packet.offsetBytes, index: frame });
    }
  }
  return files;
}
