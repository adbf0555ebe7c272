/** Checks on the disk that a relay stored exactly what the generator sent. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Ring, tracePath } from './messages.ts';
import { metadataUnits } from './metadata.ts';
import { indexFields, packetContent, paddingSizeBytes, patchContent, patchIndex } from './packets.ts';
import type { RunOrder, RunResult } from './produce.ts';

const indexHeader = Buffer.from('c1f1dcc1000000010000000100000048', 'hex');
const indexRecordBytes = 72;

/** Packets that must lie one behind the other in one tracefile, and in its index. */
interface Stretch {
  packetSizeBytes: number;
  /** The stream's number in its session. */
  stream: number;
  firstSeqNum: number;
  count: number;
}

/**
 * Compares every stored byte. `output`: the relay's output directory; `storesIndexes` false: packets alone.
 * Throws an Error that names the file and place of the first difference.
 */
export function verify(output: string, order: RunOrder, result: RunResult, storesIndexes: boolean): void {
  const { packetSizeBytes, streamCount, ring } = order.cell;
  for (const path of result.paths) {
    const directory = join(output, path, tracePath);
    for (let stream = 0; stream < streamCount; stream++) {
      const all = { packetSizeBytes, stream, firstSeqNum: 0, count: order.packetsPerStream };
      const name = `channel0_${stream}`;
      if (ring === undefined) verifyFile(directory, name, all, storesIndexes);
      else {
        for (const [number, stretch] of ringFiles(all, ring).entries())
          verifyFile(directory, `${name}_${number}`, stretch, storesIndexes);
      }
    }
    if (storesIndexes) verifyMetadata(directory);
  }
}

/**
 * What a ring holds in the end, by the number in the files' names. A packet goes into the next file if its data,
 * without padding, would grow the current one beyond its size. Source: relay-behaviour, "Limited stream files".
 */
function ringFiles(all: Stretch, ring: Ring): Stretch[] {
  const perFile = Math.floor((ring.sizeBytes + paddingSizeBytes) / all.packetSizeBytes);
  const filesWritten = Math.ceil(all.count / perFile);
  const files: Stretch[] = [];
  for (let written = Math.max(0, filesWritten - ring.count); written < filesWritten; written++) {
    const firstSeqNum = written * perFile;
    files[written % ring.count] = {
      ...all,
      firstSeqNum,
      count: Math.min(perFile, all.count - firstSeqNum),
    };
  }
  return files;
}

/**
 * Compares what is left of a session of one packet a stream and trace chunk: `chunks` archived ones, the `n`th
 * with packet `n`, and the current one, empty. `output`, errors: as with `verify`.
 */
export function verifyChunks(
  output: string,
  session: { path: string; packetSizeBytes: number; streamCount: number; chunks: number },
): void {
  const root = join(output, session.path);
  const archives = join(root, 'archives');
  const names = readdirSync(archives);
  if (names.length !== session.chunks) throw new Error(`${archives} holds ${names.join(' ')}`);
  for (let chunk = 0; chunk <= session.chunks; chunk++) {
    const parent = chunk < session.chunks ? archives : root;
    const name = readdirSync(parent).find((entry) => entry.endsWith(`-${chunk}`));
    if (name === undefined) throw new Error(`${parent} has no chunk ${chunk}`);
    const directory = join(parent, name, tracePath);
    const count = chunk < session.chunks ? 1 : 0;
    for (let stream = 0; stream < session.streamCount; stream++) {
      const { packetSizeBytes } = session;
      const stretch = { packetSizeBytes, stream, firstSeqNum: chunk, count };
      verifyFile(directory, `channel0_${stream}`, stretch, count > 0);
    }
    verifyMetadata(directory);
  }
}

function verifyFile(directory: string, name: string, stretch: Stretch, indexed: boolean): void {
  verifyPackets(join(directory, name), stretch);
  if (indexed) verifyIndex(join(directory, 'index', `${name}.idx`), stretch);
}

function verifyPackets(path: string, { packetSizeBytes, stream, firstSeqNum, count }: Stretch): void {
  const expected = Buffer.concat([packetContent(packetSizeBytes), Buffer.alloc(paddingSizeBytes)]);
  const got = Buffer.alloc(packetSizeBytes);
  const wantedSize = packetSizeBytes * count;
  const size = statSync(path).size;
  if (size !== wantedSize) throw new Error(`${path} has ${size} bytes, expected ${wantedSize}`);
  const fd = openSync(path, 'r');
  try {
    for (let i = 0; i < count; i++) {
      const seqNum = firstSeqNum + i;
      readSync(fd, got, 0, packetSizeBytes, i * packetSizeBytes);
      patchContent(expected, 0, { handle: 0, stream, seqNum });
      if (!got.equals(expected)) throw new Error(`${path}: packet ${seqNum} differs from what was sent`);
    }
  } finally {
    closeSync(fd);
  }
}

function verifyIndex(path: string, { packetSizeBytes, stream, firstSeqNum, count }: Stretch): void {
  const got = readFileSync(path);
  const expected = Buffer.alloc(indexHeader.length + indexRecordBytes * count);
  indexHeader.copy(expected);
  const fields = indexFields(packetSizeBytes);
  for (let i = 0; i < count; i++) {
    const record = indexHeader.length + indexRecordBytes * i;
    expected.writeBigUInt64BE(BigInt(i * packetSizeBytes), record);
    patchIndex(fields, 0, { handle: 0, stream, seqNum: firstSeqNum + i });
    fields.copy(expected, record + 8);
  }
  if (!got.equals(expected)) {
    throw new Error(
      `${path} (${got.length} bytes) differs from the index expected (${expected.length} bytes)`,
    );
  }
}

function verifyMetadata(directory: string): void {
  const path = join(directory, 'metadata');
  const expected = Buffer.concat(
    metadataUnits().flatMap(({ text, padding }) => [text, Buffer.alloc(padding)]),
  );
  if (!readFileSync(path).equals(expected)) throw new Error(`${path} differs from the metadata sent`);
}
