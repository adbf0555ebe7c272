/**
 * Mends stored traces after a check: cuts torn tails, makes indexes anew from the data, removes temporary files. Every
 * packet that can be read stays. A file in which somebody holds a lock is left alone, and so is one that has changed
 * since the check: some relays write without locks.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type IndexFormat,
  indexFileHeader,
  indexFormatAt,
  indexFormatOf,
  indexRecordOf,
} from '../../ctf/index-file.ts';
import { readMetadataClass } from '../../ctf/metadata/index.ts';
import { PacketReader } from '../../ctf/packet-header.ts';
import { scanPackets } from '../../ctf/packet-scan.ts';
import { MillraceError, why } from '../../errors.ts';
import type { RangeLocks } from '../../os/range-locks.ts';
import { makeDirectory } from '../directories.ts';
import { isSuspended } from '../suspension-marks.ts';
import type { FileReport, VerifyReport } from './report.ts';
import { locksOf, type VerifyOptions } from './verify.ts';

/** One thing to do. Paths are relative to the directory that was checked. */
export type RepairStep =
  | { action: 'cut'; path: string; fromBytes: number; toBytes: number }
  | { action: 'rebuild-index'; path: string; dataPath: string; sizeBytes: number; packets: number }
  | { action: 'remove'; path: string };

/** What became of it; `left`: why it was not done. */
export interface RepairOutcome {
  step: RepairStep;
  left: string | undefined;
}

/** What can be done about the faults of a report; nothing for files that are being written. */
export function planRepair({ traces, leftovers }: VerifyReport): RepairStep[] {
  const steps: RepairStep[] = leftovers.map((path) => ({ action: 'remove', path }));
  for (const file of traces.flatMap(({ files }) => files)) steps.push(...stepsOf(file));
  return steps;
}

function stepsOf(file: FileReport): RepairStep[] {
  const { path, sizeBytes, wholeBytes, indexPath, packets } = file;
  if (file.growing) return [];
  const steps: RepairStep[] = [];
  if (wholeBytes < sizeBytes) steps.push({ action: 'cut', path, fromBytes: sizeBytes, toBytes: wholeBytes });
  if (file.index === 'faulty' || file.index === 'missing')
    steps.push({ action: 'rebuild-index', path: indexPath, dataPath: path, sizeBytes: wholeBytes, packets });
  return steps;
}

/**
 * Does what a plan says, step by step; a step that fails is left and the others are done. `plan`: of `planRepair`, for
 * the same directory. Never rejects but with the signal's reason.
 */
export async function repairStore(
  directory: string,
  plan: readonly RepairStep[],
  options: VerifyOptions = {},
): Promise<RepairOutcome[]> {
  const locks = locksOf(options);
  const outcomes: RepairOutcome[] = [];
  for (const step of plan) {
    options.signal?.throwIfAborted();
    outcomes.push({ step, left: await carryOut(directory, step, locks).catch(why) });
  }
  return outcomes;
}

async function carryOut(
  directory: string,
  step: RepairStep,
  locks: RangeLocks | undefined,
): Promise<string | undefined> {
  const path = join(directory, step.path);
  switch (step.action) {
    case 'remove':
      return withLocked(path, locks, async () => {
        await unlink(path);
        return undefined;
      });
    case 'cut':
      return withLocked(path, locks, async (file) => {
        await checkSize(file, path, step.fromBytes);
        await file.truncate(step.toBytes);
        await file.sync();
        return undefined;
      });
    case 'rebuild-index': {
      const dataPath = join(directory, step.dataPath);
      const rebuild = () =>
        withLocked(dataPath, locks, async (data) => {
          await checkSize(data, dataPath, step.sizeBytes);
          await rebuildIndex(path, data, join(dirname(dataPath), 'metadata'), step.sizeBytes);
          return undefined;
        });
      return (await exists(path)) ? withLocked(path, locks, rebuild) : rebuild();
    }
  }
}

/** Runs `use` while nobody else can hold a lock on the file; returns why it was left, or what `use` returns. */
async function withLocked(
  path: string,
  locks: RangeLocks | undefined,
  use: (file: FileHandle) => Promise<string | undefined>,
): Promise<string | undefined> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    if (locks?.tryLock(file.fd, 'exclusive', 0, 0) === false) return 'another program holds a lock on it';
    const { ino } = await file.stat({ bigint: true });
    if (locks !== undefined && (await isSuspended(path, ino, locks)))
      return 'a relay is going to write on in it';
    return await use(file);
  } finally {
    await file.close();
  }
}

async function checkSize(file: FileHandle, path: string, expectedBytes: number): Promise<void> {
  if ((await file.stat()).size !== expectedBytes) throw new MillraceError('MR_ERR_DISK_CHANGED', { path });
}

async function exists(path: string): Promise<boolean> {
  return open(path, 'r').then(
    async (file) => {
      await file.close();
      return true;
    },
    () => false,
  );
}

const gatherRecords = 1024;

/** Writes an index of the packets in `data` under a temporary name, then gives it its own. */
async function rebuildIndex(
  path: string,
  data: FileHandle,
  metadataPath: string,
  sizeBytes: number,
): Promise<void> {
  const format = await formatOf(path);
  const reader = new PacketReader(readMetadataClass(await readWhole(metadataPath)));
  const read = async (position: number, length: number) => {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, (await data.read(bytes, 0, length, position)).bytesRead);
  };
  makeDirectory(dirname(path));
  const temporary = join(dirname(path), `.millrace-repair-${process.pid}.tmp`);
  const { mode, uid, gid } = await data.stat();
  const index = await open(temporary, 'wx');
  try {
    // Whoever may read the packets may read their index, whoever repairs.
    await index.chmod(mode & 0o777);
    if (process.getuid?.() === 0) await index.chown(uid, gid);
    let records = [format.header];
    for await (const found of scanPackets(read, sizeBytes, reader)) {
      if (found.kind === 'damage') continue;
      records.push(format.record.encode(indexRecordOf(found.header, found.offsetBytes, found.sizeBytes)));
      if (records.length < gatherRecords) continue;
      await index.appendFile(Buffer.concat(records));
      records = [];
    }
    await index.appendFile(Buffer.concat(records));
    await index.sync();
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary);
    throw error;
  } finally {
    await index.close();
  }
}

/** The version that the index had, as far as it can be told; else the newest. */
async function formatOf(path: string): Promise<IndexFormat> {
  const newest = indexFormatAt(8);
  try {
    return (
      indexFormatOf(indexFileHeader.decode(await readWhole(path, indexFileHeader.minSizeBytes))) ?? newest
    );
  } catch {
    return newest;
  }
}

async function readWhole(path: string, mostBytes?: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const length = mostBytes ?? (await file.stat()).size;
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, (await file.read(bytes, 0, length, 0)).bytesRead);
  } finally {
    await file.close();
  }
}
