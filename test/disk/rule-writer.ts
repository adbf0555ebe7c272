/**
 * Another process that writes a stream by the rule, and shows its uncommitted bytes as poison: whoever reads one
 * sees 0xee. Driven by messages, each answered when it is done. Knows nothing of the library but its locks.
 */
import { closeSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openRangeLocks } from '../../lib/os/range-locks.ts';

const directory = process.argv[2] as string;
const locks = openRangeLocks();
if (locks === undefined) throw new Error('koffi is not installed');

const poison = 0xee;
const packetBytes = 5000;
let version = 1;
let data = -1;
let index = -1;
let dataEnd = 0;
let indexEnd = 0;

/** Born locked under a hidden name, with poison in it already. */
function birth(name: string): number {
  const hidden = join(directory, `.${name}.tmp`);
  const fd = openSync(hidden, 'wx+');
  if (locks?.tryLock(fd, 'exclusive', 0, 0) !== true) throw new Error('refused at birth');
  writeSync(fd, Buffer.alloc(300, poison), 0, 300, 0);
  renameSync(hidden, join(directory, name));
  return fd;
}

function bornIndex(): void {
  index = birth('s.idx');
  const header = Buffer.alloc(16);
  [0xc1f1dcc1, 1, version, version === 0 ? 56 : 72].forEach((value, i) => {
    header.writeUInt32BE(value, i * 4);
  });
  writeSync(index, header, 0, 16, 0);
  locks?.unlock(index, 0, 16);
  indexEnd = 16;
}

/** The record of a packet: numbers that the reader can check. */
function record(offset: bigint, mark: number): Buffer {
  const values = [offset, BigInt(packetBytes) * 8n, 39_000n, BigInt(mark), BigInt(mark) + 1n, 0n, 7n];
  if (version === 1) values.push(3n, BigInt(mark));
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    bytes.writeBigUInt64BE(value, i * 8);
  });
  return bytes;
}

const commands: Record<string, (...args: number[]) => unknown> = {
  open(minor = 1) {
    version = minor;
    data = birth('s');
    dataEnd = 0;
    index = -1;
  },
  /** Poison where the next packet and its record will be. */
  begin() {
    writeSync(data, Buffer.alloc(packetBytes, poison), 0, packetBytes, dataEnd);
    if (index < 0) bornIndex();
    writeSync(index, Buffer.alloc(72, poison), 0, 72, indexEnd);
  },
  /** A packet of `mark` bytes, committed: data first. */
  commit(mark = 0) {
    if (index < 0) bornIndex();
    writeSync(data, Buffer.alloc(packetBytes, mark), 0, packetBytes, dataEnd);
    const bytes = record(BigInt(dataEnd), mark);
    writeSync(index, bytes, 0, bytes.length, indexEnd);
    locks?.unlock(data, dataEnd, packetBytes);
    dataEnd += packetBytes;
    locks?.unlock(index, indexEnd, bytes.length);
    indexEnd += bytes.length;
  },
  /** A record without a packet. */
  lose(mark = 0) {
    const bytes = record(0xffff_ffff_ffff_ffffn, mark);
    writeSync(index, bytes, 0, bytes.length, indexEnd);
    locks?.unlock(index, indexEnd, bytes.length);
    indexEnd += bytes.length;
  },
  /** A record that points behind the data, committed by a writer that lies. */
  lie() {
    const bytes = record(BigInt(dataEnd) + 1n, 1);
    writeSync(index, bytes, 0, bytes.length, indexEnd);
    locks?.unlock(index, indexEnd, bytes.length);
    indexEnd += bytes.length;
  },
  close() {
    for (const fd of [data, index]) if (fd >= 0) closeSync(fd);
  },
  /** What a writer at its end cuts: all that is not committed. */
  cut() {
    ftruncateSync(data, dataEnd);
    if (index >= 0) ftruncateSync(index, indexEnd);
  },
  /** Whether both files can be locked from their beginning: nobody else holds a byte of them. */
  reopen() {
    return ['s', 's.idx'].every((name) =>
      locks?.tryLock(openSync(join(directory, name), 'r+'), 'exclusive', 0, 0),
    );
  },
  /** Generations of three packets each under the same two names, as a ring of one tracefile. */
  ring(generations = 0) {
    for (let generation = 1; generation <= generations; generation += 1) {
      rmSync(join(directory, 's.idx'), { force: true });
      commands.open?.();
      for (let packet = 0; packet < 3; packet += 1) {
        commands.begin?.();
        commands.commit?.(generation % 200);
      }
      commands.cut?.();
      commands.close?.();
    }
  },
  openMetadata() {
    data = birth('metadata');
    dataEnd = 0;
  },
  /** Half a metadata command: a line without its end. */
  half(mark = 0) {
    writeSync(data, Buffer.from(`half ${mark}`), 0, undefined, dataEnd);
  },
  whole(mark = 0) {
    const line = Buffer.from(`whole command ${mark};\n`);
    writeSync(data, line, 0, line.length, dataEnd);
    locks?.unlock(data, dataEnd, line.length);
    dataEnd += line.length;
  },
};

process.on('message', ([name, ...args]: [string, ...number[]]) => {
  process.send?.(commands[name]?.(...args) ?? name);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
