/**
 * A small relay that keeps a journal and dies by its own SIGKILL in front of a given step. Arguments: output
 * directory, step. A step is one system call that writes. On stdout, synchronously: what it knows to be whole.
 */
import { mkdirSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { Journal } from '../../lib/disk/journal.ts';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

const [outputPath = '', killAt = ''] = process.argv.slice(2);
let steps = 0;
function step(): void {
  steps += 1;
  if (steps === Number(killAt)) process.kill(process.pid, 'SIGKILL');
}
function say(text: string): void {
  writeSync(1, `${text}\n`);
}

const journal = Journal.open(outputPath, openRangeLocks());

function open(path: string): number {
  const birth = path.replace(/[^/]*$/, '.millrace-birth.tmp');
  step();
  const fd = openSync(birth, 'wx+');
  step();
  renameSync(birth, path);
  return fd;
}

/** Packets of `packet` bytes: a size, then the same byte over and over. Each is written in three parts. */
function packet(number: number): Buffer {
  const bytes = Buffer.alloc(40 + ((number * 37) % 200), number % 256);
  bytes.writeUInt32BE(bytes.length);
  return bytes;
}
function writeParts(fd: number, bytes: Buffer): void {
  for (const part of [bytes.subarray(0, 11), bytes.subarray(11, 23), bytes.subarray(23)]) {
    step();
    writeSync(fd, part);
  }
}

class Stream {
  readonly #data: number;
  readonly #index: number;
  readonly #id: number;
  #offset = 0;

  constructor(name: string) {
    const paths = [`ust/${name}`, `ust/index/${name}.idx`] as const;
    mkdirSync(`${outputPath}/s/${directory}/ust/index`, { recursive: true });
    journal.chunkDirectory(chunk, 'ust/index');
    this.#id = journal.fileOpened('data', chunk, ...paths);
    this.#data = open(`${outputPath}/s/${directory}/${paths[0]}`);
    this.#index = open(`${outputPath}/s/${directory}/${paths[1]}`);
    step();
    writeSync(this.#index, Buffer.from('c1f1dcc1000000010000000100000048', 'hex'));
  }

  write(number: number): void {
    const bytes = packet(number);
    writeParts(this.#data, bytes);
    const record = Buffer.alloc(72);
    record.writeBigUInt64BE(BigInt(this.#offset), 0);
    record.writeBigUInt64BE(BigInt(bytes.length * 8), 8);
    this.#offset += bytes.length;
    writeParts(this.#index, record);
  }

  close(): void {
    step();
    journal.fileClosed(this.#id);
  }
}

let directory = 'run';
mkdirSync(`${outputPath}/s/run/ust`, { recursive: true });
const chunk = journal.chunkMade({ sessionPath: 's', path: directory, home: directory, name: directory });
journal.chunkDirectory(chunk, 'ust');
const metadataId = journal.fileOpened('metadata', chunk, 'ust/metadata');
const metadata = open(`${outputPath}/s/run/ust/metadata`);
const snapshotId = journal.fileOpened('data', chunk, 'ust/snapshot');
const snapshot = open(`${outputPath}/s/run/ust/snapshot`);
let metadataBytes = 0;
let snapshotBytes = 0;
for (let round = 0; round < 4; round++) {
  const stream = new Stream(`ch_${round}`);
  for (let number = 0; number < 3; number++) {
    stream.write(number);
    say(`packets ch_${round} ${number + 1}`);
    const text = Buffer.from(`declaration ${round} ${number};\n`);
    writeParts(metadata, text);
    metadataBytes += text.length;
    step();
    journal.fileCommitted(metadataId, metadataBytes);
    say(`metadata x ${metadataBytes}`);
    writeParts(snapshot, packet(number));
    snapshotBytes += packet(number).length;
    step();
    journal.fileCommitted(snapshotId, snapshotBytes);
    say(`snapshot x ${snapshotBytes}`);
  }
  if (round === 1) stream.close();
  const next = `run-${round}`;
  step();
  journal.moveBegun(chunk, next);
  step();
  renameSync(`${outputPath}/s/${directory}`, `${outputPath}/s/${next}`);
  step();
  journal.moveDone(chunk);
  directory = next;
}
say(`steps x ${steps}`);
unlinkSync(`${outputPath}/s/${directory}/ust/snapshot`);
journal.close();
