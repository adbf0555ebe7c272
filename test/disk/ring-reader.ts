/**
 * Another process that reads a ring of tracefiles while it is overwritten. Packets are 4000 bytes of one value, which
 * follows from the packet_seq_num in the record: half a packet, or a record of another file, does not fit.
 */
import { join } from 'node:path';
import { readStream } from '../../lib/disk/cooperative-reader.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

const [directory, count] = process.argv.slice(2) as [string, string];
const locks = openRangeLocks();
const enoughFiles = 200;
const packetBytes = 4000;
const wrong: string[] = [];
let packets = 0;
let files = 0;

/** Reads whatever is file `n` now to its end; then the name leads to the next one. */
async function readFile(n: number): Promise<void> {
  const dataPath = join(directory, `c_0_${n}`);
  const indexPath = join(directory, 'index', `c_0_${n}.idx`);
  let before: bigint | undefined;
  for await (const { record, bytes } of readStream({ dataPath, indexPath, locks })) {
    const number = record.packetSeqNum as bigint;
    const value = Number(number % 251n);
    if (bytes?.equals(Buffer.alloc(packetBytes, value)) !== true) wrong.push(`file ${n}, packet ${number}`);
    if (before !== undefined && number !== before + 1n) wrong.push(`file ${n}: ${number} behind ${before}`);
    before = number;
    packets += 1;
  }
  files += 1;
}

process.send?.('ready');
while (files < enoughFiles) for (let n = 0; n < Number(count); n += 1) await readFile(n);
process.send?.({ wrong: wrong.slice(0, 5), packets, files });
process.disconnect();
