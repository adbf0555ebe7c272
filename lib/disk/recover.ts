/**
 * What a relay does before it serves, where the one before it did not end but died: reads its journal, finishes
 * renames that were interrupted, cuts torn tails, sweeps temporary files, does with trace chunks what was asked for
 * (`recover-chunks.ts`), and removes the journal. Only what the journal names is looked at, so the cost does not
 * grow with the size of the output directory. Each step may be interrupted and done again.
 */
import { closeSync, existsSync, openSync, readSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PacketReader } from '../ctf/packet-header.ts';
import { why } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import { tell } from '../telemetry.ts';
import { below, namesIn, unlinkIfThere } from './chunk-places.ts';
import type { CompleteChunk } from './chunk-registry.ts';
import { journalDirectory, lockOutput, releaseOutput } from './journal-lock.ts';
import { JournalState } from './journal-state.ts';
import { LogParser } from './log-parser.ts';
import { temporaryName } from './names.ts';
import {
  type ChunkOutcome,
  chunksToTell,
  finishChunks,
  finishMoves,
  isInside,
  noteRests,
  placeOf,
} from './recover-chunks.ts';
import { ResumeBook } from './resume-book.ts';
import { type Cut, cutFile, cutIndexed } from './torn-tail.ts';

/** What recovery found and did. Paths are relative to the output directory. */
export interface RecoveryReport {
  /** Whether a relay had died here. */
  found: boolean;
  /** Files that it was writing. */
  files: number;
  cuts: Cut[];
  /** Temporary files that were removed. */
  swept: string[];
  /** Trace chunks that were moved or deleted. */
  chunks: ChunkOutcome[];
  /** Those that are complete and were not told of. */
  complete: CompleteChunk[];
}

export const journalName = 'journal.mrlog';
/** A journal that is being written anew. */
export const nextJournalName = '.millrace-journal.tmp';

function journalIn(outputPath: string): string {
  return `${outputPath}/${journalDirectory}/${journalName}`;
}

/** Makes what reads the packets beside `metadataPath`, of which `bytes` are whole; undefined: nothing can. */
export type PacketReaderOf = (metadataPath: string, bytes: number) => PacketReader | undefined;

/**
 * What `Journal.open` takes to make lost index records anew. Loaded only where a relay died: it brings the parser of
 * metadata, which no other start should wait for.
 */
export async function loadPacketReaderOf(outputPath: string): Promise<PacketReaderOf | undefined> {
  if (!existsSync(journalIn(outputPath))) return undefined;
  return (await import('./packet-reader-of.ts')).packetReaderOf;
}

/**
 * Mends an output directory in which a relay died, and leaves no journal. `locks`, `readerOf` as for `Journal.open`,
 * which does the same. Throws MR_ERR_DISK_IN_USE, MR_ERR_DISK_CREATE.
 */
export function recover(
  outputPath: string,
  locks: RangeLocks | undefined,
  readerOf?: PacketReaderOf,
): RecoveryReport {
  const lockFd = lockOutput(outputPath, locks);
  try {
    return mend(outputPath, locks, readerOf);
  } finally {
    releaseOutput(outputPath, lockFd);
  }
}

/** Puts the output directory in order; the caller holds it. Never throws: what cannot be mended is told and left. */
export function mend(
  outputPath: string,
  locks: RangeLocks | undefined,
  readerOf: PacketReaderOf = () => undefined,
): RecoveryReport {
  const journalPath = journalIn(outputPath);
  const report: RecoveryReport = {
    found: existsSync(journalPath),
    files: 0,
    cuts: [],
    swept: [],
    chunks: [],
    complete: [],
  };
  unlinkIfThere(`${outputPath}/${journalDirectory}/${nextJournalName}`);
  if (!report.found) return report;
  const state = readJournal(journalPath);
  finishMoves(outputPath, state);
  const files = openFiles(state);
  report.files = files.length;
  report.cuts = cutTails(outputPath, files, locks, new PacketReaders(outputPath, files, readerOf));
  report.swept = sweep(outputPath, state);
  // only now: a second attempt, if this one dies too, finds files where the journal says
  const complete = chunksToTell(outputPath, state);
  report.chunks = finishChunks(outputPath, state);
  noteRests(state, report.chunks, new ResumeBook(outputPath));
  report.complete = complete.map(({ from, ...chunk }) => ({
    ...chunk,
    path: report.chunks.find((outcome) => outcome.from === from)?.to ?? from,
  }));
  unlinkSync(journalPath);
  return report;
}

/** A file that was open, its paths relative to the output directory. */
interface OpenFile {
  path: string;
  indexPath: string | undefined;
  committedBytes: number;
}

/** The files to be cut; of those that had one path, one after the other, the last. */
function openFiles(state: JournalState): OpenFile[] {
  const files = new Map<string, OpenFile>();
  for (const { opened, committedBytes } of state.files.values()) {
    const { chunk: id, path, indexPath } = opened;
    const chunk = state.chunks.get(id);
    if (chunk === undefined || !isInside(path) || !isInside(indexPath ?? '')) continue;
    const root = placeOf(chunk);
    files.set(below(root, path), {
      path: below(root, path),
      indexPath: indexPath && below(root, indexPath),
      committedBytes,
    });
  }
  return [...files.values()];
}

function cutTails(
  outputPath: string,
  files: OpenFile[],
  locks: RangeLocks | undefined,
  readers: PacketReaders,
): Cut[] {
  const cuts: Cut[] = [];
  for (const file of files) {
    try {
      for (const cut of cutTail(outputPath, file, locks, () => readers.of(file.path)))
        cuts.push({ ...cut, path: cut.path.slice(outputPath.length + 1) });
    } catch (error) {
      tell('error', 'disk:recovery', `${file.path} cannot be mended: ${why(error)}`, { path: file.path });
    }
  }
  for (const { path, fromBytes, toBytes, left, removed, added } of cuts) {
    const change =
      added === undefined ? `cut to ${toBytes} bytes` : `has ${added} records of whole packets again`;
    const done = removed === true ? 'removed: no packet is in it' : change;
    const text = left === undefined ? `${path} ${done}` : `${path} left as it is: ${left}`;
    tell('warn', 'disk:recovery', text, { path, fromBytes, toBytes, left });
  }
  return cuts;
}

/** What can read the packets of the traces in which files were open, made when it is asked for. */
class PacketReaders {
  readonly #outputPath: string;
  readonly #files: readonly OpenFile[];
  readonly #readerOf: PacketReaderOf;
  readonly #byDirectory = new Map<string, PacketReader | undefined>();

  constructor(outputPath: string, files: readonly OpenFile[], readerOf: PacketReaderOf) {
    this.#outputPath = outputPath;
    this.#files = files;
    this.#readerOf = readerOf;
  }

  /** By the metadata beside a data file: as much of it as the journal says, or all of a file that was closed. */
  of(dataPath: string): PacketReader | undefined {
    const directory = dirname(dataPath);
    if (!this.#byDirectory.has(directory)) {
      const path = join(directory, 'metadata');
      const open = this.#files.find((file) => file.path === path);
      const bytes = open?.committedBytes ?? Number.POSITIVE_INFINITY;
      this.#byDirectory.set(directory, this.#readerOf(`${this.#outputPath}/${path}`, bytes));
    }
    return this.#byDirectory.get(directory);
  }
}

function readJournal(path: string): JournalState {
  const state = new JournalState();
  const parser = new LogParser(path);
  const fd = openSync(path, 'r');
  try {
    for (;;) {
      const bytes = Buffer.allocUnsafe(262_144);
      const length = readSync(fd, bytes);
      if (length === 0) break;
      for (const record of parser.push(bytes.subarray(0, length))) state.replay(record);
    }
    const { outcome, offset } = parser.end();
    tell('info', 'disk:recovery', `a relay died here; its journal is ${outcome}`, { path, outcome, offset });
  } catch (error) {
    tell('error', 'disk:recovery', `${path} cannot be read to its end: ${why(error)}`, { path });
  } finally {
    closeSync(fd);
  }
  return state;
}

/** An index file goes with its data file, of which the journal knows as long as of itself. */
function cutTail(
  outputPath: string,
  { path, indexPath, committedBytes }: OpenFile,
  locks: RangeLocks | undefined,
  reader: () => PacketReader | undefined,
): Cut[] {
  const file = `${outputPath}/${path}`;
  if (indexPath !== undefined) return cutIndexed(file, `${outputPath}/${indexPath}`, locks, reader);
  return cutFile(file, committedBytes, locks);
}

/** Removes files that never got their names, from the directories in which files can have been born. */
function sweep(outputPath: string, state: JournalState): string[] {
  const directories = new Set<string>();
  for (const chunk of state.chunks.values())
    for (const path of chunk.directories) if (isInside(path)) directories.add(below(placeOf(chunk), path));
  const swept: string[] = [];
  for (const directory of directories) {
    for (const name of namesIn(`${outputPath}/${directory}`)) {
      if (!temporaryName.test(name)) continue;
      unlinkSync(`${outputPath}/${directory}/${name}`);
      swept.push(`${directory}/${name}`);
    }
  }
  return swept;
}
