/** Checks one data stream file and its index file. */
import { join } from 'node:path';
import type { PacketReader } from '../../ctf/packet-header.ts';
import { type Damage, scanPackets } from '../../ctf/packet-scan.ts';
import { MillraceError, why } from '../../errors.ts';
import { CommittedFile, type CooperativeOptions, type Extent } from '../committed-file.ts';
import { IndexMatch } from './index-match.ts';
import { IndexRecords } from './index-records.ts';
import { PacketOrder, type PacketRun } from './packet-order.ts';
import type { FaultCode, FaultList, FileReport } from './report.ts';

/** What is checked, and how. Paths are relative to `directory`. */
export interface StreamFileCheck {
  directory: string;
  path: string;
  indexPath: string;
  /** Other files of the trace have indexes, so this one should. */
  indexExpected: boolean;
  reader: PacketReader;
  faults: FaultList;
  options: CooperativeOptions;
}

/** The file's report, and its packets taken together (undefined: there are none). */
export interface CheckedFile {
  report: FileReport;
  run: PacketRun | undefined;
}

/** Checks the file. What is wrong goes into `faults`. Errors: MR_ERR_DISK_CHANGED, MR_ERR_DISK_READ. */
export async function checkStreamFile(check: StreamFileCheck): Promise<CheckedFile> {
  const { directory, options } = check;
  // The index before the data: whatever a record points at that is committed now, will be found.
  const index = await CommittedFile.open(join(directory, check.indexPath), options);
  try {
    const indexExtent = await index?.extent(0);
    const data = await CommittedFile.open(join(directory, check.path), options);
    if (data === undefined) throw new MillraceError('MR_ERR_DISK_CHANGED', { path: check.path });
    try {
      return await checkPair(check, data, index, indexExtent);
    } finally {
      await data.close();
    }
  } finally {
    await index?.close();
  }
}

async function checkPair(
  check: StreamFileCheck,
  data: CommittedFile,
  index: CommittedFile | undefined,
  indexExtent: Extent | undefined,
): Promise<CheckedFile> {
  const { path, indexPath, reader, faults } = check;
  const { endBytes, writing } = await data.extent(0);
  const growing = writing || indexExtent?.writing === true;
  const tell = (code: FaultCode, text: string, offsetBytes?: number) =>
    faults.add(code, path, text, offsetBytes);
  const order = new PacketOrder(reader, tell);
  const match = await matchOf(check, index, indexExtent);
  const report: FileReport = {
    path,
    sizeBytes: endBytes,
    growing,
    packets: 0,
    wholeBytes: endBytes,
    damagedBytes: 0,
    index: 'none',
    indexPath,
    recordsLost: 0,
  };
  for await (const found of scanPackets((at, length) => data.read(at, length), endBytes, reader)) {
    if (found.kind === 'packet') {
      report.packets += 1;
      order.packet(found);
      if (match instanceof IndexMatch) await match.packet(found);
      continue;
    }
    const known = match instanceof IndexMatch && (await match.damage(found, endBytes));
    // A torn packet has no record of its whole; where there is one, the header is what is broken.
    if (found.torn && !known) report.wholeBytes = found.offsetBytes;
    else report.damagedBytes += found.sizeBytes;
    tellDamage(found, found.torn && !known, tell);
  }
  if (match instanceof IndexMatch) {
    await match.end(growing);
    report.recordsLost = match.recordsLost;
    report.index = match.faulty ? 'faulty' : 'matching';
  } else if (match === 'unreadable') report.index = 'faulty';
  else if (check.indexExpected && report.packets > 0 && !growing) {
    report.index = 'missing';
    tell('index-missing', 'it has no index file, others of the trace have one');
  }
  return { report, run: order.run };
}

async function matchOf(
  { reader, faults, indexPath }: StreamFileCheck,
  index: CommittedFile | undefined,
  extent: Extent | undefined,
): Promise<IndexMatch | 'unreadable' | undefined> {
  if (index === undefined || extent === undefined) return undefined;
  try {
    const records = await IndexRecords.open(index, extent);
    return new IndexMatch(records, reader, (code, text, at) => faults.add(code, indexPath, text, at));
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MR_ERR_DISK_READ') throw error;
    // Its writer may not have come to its header yet.
    if (extent.writing) return undefined;
    faults.add('index-unreadable', indexPath, String(error.facts.why));
    return 'unreadable';
  }
}

function tellDamage(
  { offsetBytes, sizeBytes, error }: Damage,
  torn: boolean,
  tell: (code: FaultCode, text: string, offsetBytes: number) => void,
): void {
  if (torn) {
    tell('torn-tail', `the last ${sizeBytes} bytes are the beginning of a packet`, offsetBytes);
    return;
  }
  const code = error.code === 'MR_ERR_CTF_STREAM_CLASS' ? 'stream-class' : 'packet-unreadable';
  tell(code, `${sizeBytes} bytes that cannot be read: ${why(error)}`, offsetBytes);
}
