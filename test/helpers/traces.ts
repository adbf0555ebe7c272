/** Traces that other programs wrote: those in fixtures/, and a larger corpus where it is at hand. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A directory of fixtures/. */
export function fixture(path: string): string {
  return join(root, 'fixtures', path);
}

/** The corpus beside the repository; undefined where there is none. */
export const corpus: string | undefined = [join(root, '../shared/traces')].find((path) => existsSync(path));

/** Every trace below a directory: the directories that hold `metadata`. */
export function tracesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path === 'metadata' || path.endsWith('/metadata'))
    .map((path) => dirname(join(directory, path)))
    .sort();
}

/** Every trace of fixtures/ and of the corpus. */
export function allTraces(): string[] {
  return [...tracesBelow(join(root, 'fixtures')), ...(corpus === undefined ? [] : tracesBelow(corpus))];
}

/** Names of the data stream files of a trace. */
export function streamFiles(trace: string): string[] {
  return readdirSync(trace, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'metadata' && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
}

/** A record of an index file, read by hand: big endian, 72 bytes behind a header of 16. */
export interface RawIndexRecord {
  offsetBytes: number;
  packetSizeBits: bigint;
  contentSizeBits: bigint;
  timestampBeginCycles: bigint;
  timestampEndCycles: bigint;
  eventsDiscarded: bigint;
  streamClassId: bigint;
  streamInstanceId: bigint;
  packetSeqNum: bigint;
}

/** The records that the writer of a trace left for a data stream file; undefined: no index file. */
export function indexOf(trace: string, name: string): RawIndexRecord[] | undefined {
  const path = join(trace, 'index', `${name}.idx`);
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const records: RawIndexRecord[] = [];
  for (let at = 16; at + 72 <= bytes.length; at += 72) {
    const field = (index: number) => bytes.readBigUInt64BE(at + index * 8);
    records.push({
      offsetBytes: Number(field(0)),
      packetSizeBits: field(1),
      contentSizeBits: field(2),
      timestampBeginCycles: field(3),
      timestampEndCycles: field(4),
      eventsDiscarded: field(5),
      streamClassId: field(6),
      streamInstanceId: field(7),
      packetSeqNum: field(8),
    });
  }
  return records;
}

/** Makes the index of a trace say that two packets are missing before its first ones. */
export function loseTwoBefore(trace: string): void {
  for (const name of streamFiles(trace)) {
    const path = join(trace, 'index', `${name}.idx`);
    const bytes = readFileSync(path);
    for (let at = 16 + 64; at < bytes.length; at += 72)
      bytes.writeBigUInt64BE(bytes.readBigUInt64BE(at) + 2n, at);
    writeFileSync(path, bytes);
  }
}
