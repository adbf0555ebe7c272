/**
 * What lies below an output directory, read by offsets written by hand: packets by their own sizes, index records
 * from the layout of the CTF index file. Knows nothing of the code under test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { packetBytes } from './ledger.ts';

/** One packet as it was found. */
export interface StoredPacket {
  stream: string;
  seq: number;
  /** Directory of its trace chunk, relative to the output directory. */
  chunkPath: string;
}

export interface Stored {
  packets: StoredPacket[];
  /** Text of each metadata file, by its path relative to the output directory. */
  metadata: Map<string, string>;
  /** Everything that should not be there. */
  faults: string[];
}

const indexHeader = 'c1f1dcc1000000010000000100000048';

/** A record of an index file: where a packet lies, and its number. */
type Record = [offset: number, sizeBytes: number, seq: number];

/** All files below a directory with their bytes, by relative path; what no start should leave goes to `faults`. */
export function readTree(outputPath: string, faults: string[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const entry of readdirSync(outputPath, { recursive: true, withFileTypes: true })) {
    const path = relative(outputPath, join(entry.parentPath, entry.name));
    if (/(^|\/)\.(tmp|millrace)|\.tmp$/.test(path)) faults.push(`${path} is there`);
    else if (entry.isFile()) files.set(path, readFileSync(join(outputPath, path)));
  }
  return files;
}

/** The index file that belongs to a data file. */
export function indexOf(path: string): string {
  return path.replace(/([^/]*)$/, 'index/$1.idx');
}

/** The records of an index file, in the order of the data file. */
export function readIndex(path: string, index: Buffer, faults: string[]): Record[] {
  if (index.toString('hex', 0, 16) !== indexHeader || (index.length - 16) % 72 !== 0)
    faults.push(`${path}: ${index.length} bytes, begins ${index.toString('hex', 0, 16)}`);
  const records: Record[] = [];
  for (let at = 16; at + 72 <= index.length; at += 72) {
    const [offset, bits, seq] = [at, at + 8, at + 64].map((field) => Number(index.readBigUInt64BE(field)));
    records.push([offset as number, (bits as number) / 8, seq as number]);
  }
  return records.sort(([a], [b]) => a - b);
}

/** Reads the whole tree. `hasIndex`: whether a stream of that name has one. */
export function readStored(outputPath: string, hasIndex: (stream: string) => boolean): Stored {
  const stored: Stored = { packets: [], metadata: new Map(), faults: [] };
  const files = readTree(outputPath, stored.faults);
  for (const [path, bytes] of files) {
    const [, trace = '', name = ''] = /^(.*)\/([^/]*)$/.exec(path) ?? [];
    if (name === 'metadata') stored.metadata.set(path, bytes.toString());
    else if (!trace.endsWith('/index')) {
      const stream = name.replace(/^ring_.*/, 'ring');
      const index = files.get(indexOf(path));
      const chunkPath = trace.replace(/\/(ust|kernel)(\/.*)?$/, '');
      readStream(stored, { path, stream, chunkPath, bytes }, hasIndex(stream) ? index : undefined);
      if (hasIndex(stream) && bytes.length > 0 && index === undefined)
        stored.faults.push(`${path} has no index`);
    } else if (!files.has(path.replace(/index\/([^/]*)\.idx$/, '$1')))
      stored.faults.push(`${path} has no data`);
  }
  return stored;
}

interface DataFile {
  path: string;
  stream: string;
  chunkPath: string;
  bytes: Buffer;
}

function readStream(
  { packets, faults }: Stored,
  { path, stream, chunkPath, bytes }: DataFile,
  index: Buffer | undefined,
): void {
  const expected: Record[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = at + 8 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    const seq = at + 8 <= bytes.length ? bytes.readUInt32BE(at + 4) : 0;
    if (!bytes.subarray(at, at + size).equals(packetBytes(stream, seq))) {
      faults.push(`${path} at ${at}: no whole packet`);
      break;
    }
    packets.push({ stream, seq, chunkPath });
    expected.push([at, size, seq]);
    at += size;
  }
  if (index === undefined) return;
  const found = readIndex(`index of ${path}`, index, faults);
  if (JSON.stringify(found) !== JSON.stringify(expected))
    faults.push(`index of ${path}: ${JSON.stringify(found)}, data: ${JSON.stringify(expected)}`);
}
