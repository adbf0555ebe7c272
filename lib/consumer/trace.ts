/** One CTF trace in a directory: its metadata, and which files are its streams. */
import { join } from 'node:path';
import { readMetadataClass } from '../ctf/metadata/index.ts';
import { PacketReader } from '../ctf/packet-header.ts';
import type { TraceClass } from '../ctf/trace-class.ts';
import { CommittedFile, type CooperativeOptions } from '../disk/committed-file.ts';
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { FrameBatch } from '../stage/batch.ts';
import { metadataBatches } from '../stage/metadata-batches.ts';
import { type CursorOptions, PacketCursor } from './packet-cursor.ts';
import type { TraceLayout } from './session-layout.ts';
import { possibleRings, type StreamFiles, streamFilesOf } from './stream-files.ts';

/** A trace that can be read. */
export interface Trace {
  layout: TraceLayout;
  traceClass: TraceClass;
  metadataBytes: number;
  streams: StreamFiles[];
  cursorOptions: CursorOptions;
}

/**
 * Reads a trace's metadata and finds its streams. `root`: absolute, of which the layout speaks. Errors:
 * MR_ERR_DISK_READ, MR_ERR_DISK_CHANGED, MR_ERR_CONSUMER_DAMAGE for metadata that cannot be read.
 */
export async function openTrace(
  root: string,
  layout: TraceLayout,
  options: CooperativeOptions,
  damaged: (error: MillraceError) => void,
): Promise<Trace> {
  const directory = join(root, layout.found.path);
  const metadata = await metadataOf(directory, options);
  const traceClass = classOf(join(directory, 'metadata'), metadata);
  const cursorOptions = { ...options, directory, reader: new PacketReader(traceClass), damaged };
  const { streamFiles } = layout.found;
  const groups = [];
  for (const names of possibleRings(streamFiles)) {
    const group = [];
    for (const name of names) group.push(await fileFacts(name, cursorOptions));
    groups.push(group);
  }
  const streams = streamFilesOf(streamFiles, groups);
  return { layout, traceClass, metadataBytes: metadata.length, streams, cursorOptions };
}

function classOf(path: string, metadata: Buffer): TraceClass {
  try {
    return readMetadataClass(metadata);
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw cause;
    throw new MillraceError('MR_ERR_CONSUMER_DAMAGE', { path, why: cause.message }, { cause });
  }
}

async function fileFacts(name: string, options: CursorOptions) {
  // What is wrong with the file will be told when its packets are read.
  const cursor = new PacketCursor([name], { ...options, damaged: () => undefined });
  try {
    await cursor.fill(1);
    const data = await CommittedFile.open(join(options.directory, name), options);
    const sizeBytes = (await data?.extent(0))?.endBytes ?? 0;
    await data?.close();
    return { name, sizeBytes, first: cursor.head?.facts };
  } finally {
    await cursor.close();
  }
}

/** The whole metadata, as far as it is committed. */
async function metadataOf(directory: string, options: CooperativeOptions): Promise<Buffer> {
  const path = join(directory, 'metadata');
  const file = await CommittedFile.open(path, options);
  if (file === undefined) throw new MillraceError('MR_ERR_DISK_CHANGED', { path });
  try {
    const { endBytes } = await file.extent(0);
    if (endBytes > limits.metadataBytes) {
      const why = `${endBytes} bytes, at most ${limits.metadataBytes} are read`;
      throw new MillraceError('MR_ERR_CONSUMER_DAMAGE', { path, why });
    }
    return await file.read(0, endBytes);
  } finally {
    await file.close();
  }
}

/** A trace's metadata as frames of its metadata stream. */
export async function* traceMetadata(
  trace: Trace,
  session: number,
  stream: number,
): AsyncGenerator<FrameBatch, void> {
  const { directory } = trace.cursorOptions;
  const bytes = await metadataOf(directory, trace.cursorOptions);
  yield* metadataBatches({ session, stream, version: 0 }, bytes.subarray(0, trace.metadataBytes));
}
