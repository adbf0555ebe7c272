/** Metadata as frames, in commands that can be read one by one. */
import { metadataByteOrder, metadataPacketHeader } from '../ctf/metadata-packet.ts';
import { limits } from '../limits.ts';
import type { FrameBatch } from './batch.ts';
import { looseSlab } from './slab.ts';

/** Whose metadata it is, and of which version. */
export interface MetadataPlace {
  session: number;
  stream: number;
  version: number;
}

/** Whole metadata, or what is new of it up to the end of what its writer committed. Views of `bytes`, which stay. */
export function* metadataBatches(place: MetadataPlace, bytes: Buffer): Generator<FrameBatch> {
  for (const { start, end, last } of commandsOf(bytes))
    yield {
      slab: looseSlab(bytes.subarray(start, end)),
      frames: [{ kind: 'metadata', ...place, start: 0, end: end - start, last, paddingSizeBytes: 0 }],
    };
}

/**
 * Where to cut: packets are read one by one, so as many as fit a slab are a command; plain text is one, for only its
 * end is known to be no middle of a declaration.
 */
function commandsOf(bytes: Buffer): { start: number; end: number; last: boolean }[] {
  const most = limits.slabBytes;
  const commands: { start: number; end: number; last: boolean }[] = [];
  let start = 0;
  const cut = (end: number) => {
    for (let at = start; at < end; at += most)
      commands.push({ start: at, end: Math.min(at + most, end), last: at + most >= end });
    start = end;
  };
  let before = 0;
  for (const end of packetEnds(bytes)) {
    if (end - start > most && before > start) cut(before);
    before = end;
  }
  cut(bytes.length);
  return commands;
}

function packetEnds(bytes: Buffer): number[] {
  const byteOrder = metadataByteOrder(bytes);
  if (byteOrder === undefined) return [];
  const layout = metadataPacketHeader[byteOrder];
  const ends: number[] = [];
  for (let at = 0; bytes.length - at >= layout.minSizeBytes; ) {
    at += Math.max(
      layout.decode(bytes, at, at + layout.minSizeBytes).packetSizeBits / 8,
      layout.minSizeBytes,
    );
    ends.push(Math.min(at, bytes.length));
  }
  return ends;
}
