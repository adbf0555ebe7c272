/**
 * The relay's journal: which files are open and how far they are whole, where trace chunks lie and what is to
 * become of them, so that the next start can cut what a kill left torn and finish what it interrupted. A frame log
 * in `OUT/.millrace/` that is gone after a clean end. Writes are synchronous, and there is no fsync: it guards against
 * the death of the relay, not of the machine.
 *
 * A fact that announces something is in the file before that is done. What has been done already needs no such hurry:
 * it is gathered, and leaves with the next announcement or at the end of the tick, so facts of one request share a
 * write. The order of facts in the file is always that in which they were told.
 *
 * It stays small: grown past a bound, it is written anew with only the facts that still matter. A journal that
 * cannot be written is removed, because one that lacks commits would have whole metadata cut away.
 */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { why } from '../errors.ts';
import { limits } from '../limits.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import type { Frame } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import type { LogBody } from './frame-codec.ts';
import { type ChunkClosed, type ChunkMade, encodeFact, type Fact, type FileRole } from './journal-facts.ts';
import { journalDirectory, lockOutput, releaseOutput } from './journal-lock.ts';
import { JournalState } from './journal-state.ts';
import { LogEncoder } from './log-encoder.ts';
import { nowNs } from './log-writer.ts';
import { journalName, mend, nextJournalName, type PacketReaderOf, type RecoveryReport } from './recover.ts';
import type { ChunkJournal, StoreJournal } from './store-context.ts';

/** Milliseconds between attempts to write a journal that could not be written. */
const retryMs = 1000;

const ready = Promise.resolve();

/** See the file's head; what the facts say is told in `journal-facts.ts`. */
export class Journal implements StoreJournal, ChunkJournal {
  readonly #outputPath: string;
  readonly #lockFd: number;
  readonly #state = new JournalState();
  #encoder = new LogEncoder();
  #fd: number | undefined;
  #files = 0;
  #chunks = 0;
  /** Size at which the journal is written anew. */
  #boundBytes = 0;
  #retryAtMs = 0;
  /** Records that are not in the file yet. */
  #gathered: Buffer[] = [];
  readonly #settleSoon = () => this.settle();
  /** What was mended when the journal was opened. */
  readonly recovery: RecoveryReport;

  /**
   * Takes the output directory, which must exist, for this process, mends it if a relay died here, and begins a
   * journal. `locks`: undefined where the system has none. `readerOf`: see `loadPacketReaderOf`; without it, packets that
   * have lost their index records are cut. Throws MR_ERR_DISK_IN_USE, MR_ERR_DISK_CREATE.
   */
  static open(outputPath: string, locks: RangeLocks | undefined, readerOf?: PacketReaderOf): Journal {
    const lockFd = lockOutput(outputPath, locks);
    try {
      return new Journal(outputPath, lockFd, locks, readerOf);
    } catch (error) {
      releaseOutput(outputPath, lockFd);
      throw error;
    }
  }

  private constructor(
    outputPath: string,
    lockFd: number,
    locks: RangeLocks | undefined,
    readerOf?: PacketReaderOf,
  ) {
    this.#outputPath = outputPath;
    this.#lockFd = lockFd;
    this.recovery = mend(outputPath, locks, readerOf);
    this.#rewrite();
  }

  fileOpened(role: FileRole, chunk: number, path: string, indexPath?: string): number {
    const file = this.fileNoted(role, chunk, path, indexPath);
    this.settle();
    return file;
  }

  fileNoted(role: FileRole, chunk: number, path: string, indexPath?: string): number {
    const file = this.#files;
    this.#files += 1;
    this.#gather({ kind: 'fileOpened', file, chunk, role, path, indexPath });
    return file;
  }

  fileCommitted(file: number, committedBytes: number): void {
    this.#announce({ kind: 'fileCommitted', file, committedBytes });
  }

  fileClosed(file: number): void {
    this.#gather({ kind: 'fileClosed', file });
  }

  chunkMade(places: Omit<ChunkMade, 'kind' | 'chunk'>): number {
    const chunk = this.#chunks;
    this.#chunks += 1;
    this.#announce({ kind: 'chunkMade', chunk, ...places });
    return chunk;
  }

  chunkDirectory(chunk: number, path: string): void {
    this.#announce({ kind: 'chunkDirectory', chunk, path });
  }

  fileFound(chunk: number, path: string): void {
    this.fileClosed(this.fileNoted('data', chunk, path));
  }

  moveBegun(chunk: number, to: string): void {
    this.#announce({ kind: 'moveBegun', chunk, to });
  }

  moveDone(chunk: number): void {
    this.#gather({ kind: 'moveDone', chunk });
  }

  chunkClosed(chunk: number, action: ChunkClosed['action'], archive: string): void {
    this.#gather({ kind: 'chunkClosed', chunk, action, archive });
  }

  chunkGone(chunk: number): void {
    this.#gather({ kind: 'chunkGone', chunk });
  }

  /** Notes sessions, streams and trace chunks; other frames are passed over. */
  frame(frame: Frame): void {
    const fact = this.#state.frame(frame);
    if (fact !== undefined) this.#append(fact);
  }

  /** What was told is in the file when this returns. */
  settle(): void {
    if (this.#gathered.length === 0) return;
    if (this.#fd === undefined || this.#encoder.offset > this.#boundBytes) {
      // the state has the facts already
      this.#rewrite();
      return;
    }
    const [first = Buffer.alloc(0)] = this.#gathered;
    const bytes = this.#gathered.length === 1 ? first : Buffer.concat(this.#gathered);
    this.#gathered = [];
    try {
      writeWhole(this.#fd, bytes);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** The clean end: every file is in order, so journal and lock go. */
  close(): void {
    this.#gathered = [];
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    rmSync(this.#path(journalName), { force: true });
    releaseOutput(this.#outputPath, this.#lockFd);
  }

  #path(name: string): string {
    return `${this.#outputPath}/${journalDirectory}/${name}`;
  }

  /** Something is about to be done, or to be relied on. */
  #announce(fact: Fact): void {
    this.#gather(fact);
    this.settle();
  }

  /** Something has been done, or will be only after `settle`. */
  #gather(fact: Fact): void {
    this.#state.take(fact);
    this.#append(encodeFact(fact));
  }

  #append(fact: LogBody): void {
    // cheaper than queueMicrotask, which makes a resource to trace it by
    if (this.#gathered.length === 0) void ready.then(this.#settleSoon);
    this.#gathered.push(...this.#record(fact));
  }

  #record({ kind, parts }: LogBody): Buffer[] {
    return this.#encoder.record(kind, nowNs(), parts);
  }

  /** Writes a new journal with the living facts beside the old one, then puts it in its place. */
  #rewrite(): void {
    this.#gathered = [];
    if (this.#fd === undefined && Date.now() < this.#retryAtMs) return;
    const path = this.#path(nextJournalName);
    let fd: number | undefined;
    try {
      fd = openSync(path, 'w', 0o660);
      this.#encoder = new LogEncoder();
      const header = this.#encoder.header({ content: 'journal', segment: 0, createdNs: nowNs() });
      writeWhole(
        fd,
        Buffer.concat([header, ...Array.from(this.#state.facts(), (fact) => this.#record(fact)).flat()]),
      );
      renameSync(path, this.#path(journalName));
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = fd;
      this.#boundBytes = Math.max(limits.journalBytes, 2 * this.#encoder.offset);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      rmSync(path, { force: true });
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    rmSync(this.#path(journalName), { force: true });
    if (this.#retryAtMs === 0) {
      const path = this.#path(journalName);
      const text = `no journal is kept, a kill now would leave torn files: ${why(error)}`;
      tell('error', 'disk:journal', text, { path, why: why(error) });
    }
    this.#retryAtMs = Date.now() + retryMs;
  }
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
