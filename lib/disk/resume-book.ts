/**
 * What is kept of sessions that a forwarder may take up again after an outage, in `OUT/.millrace/resume/`: in which
 * directory the session of a token lies, and where its trace chunks came to rest when nobody used them any more, be it
 * that their end was reached, that a connection broke, or that the relay died (then recovery writes it). A chunk that is
 * in use is not in the book: the registry knows it, or the journal.
 *
 * Small files, replaced whole, without fsync: as the journal, they guard against the death of the relay. What nobody
 * asked for in `limits.resumeDays` goes at the next start.
 */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { why } from '../errors.ts';
import { limits } from '../limits.ts';
import { tell } from '../telemetry.ts';
import { namesIn } from './chunk-places.ts';
import { makeDirectory } from './directories.ts';
import { journalDirectory } from './journal-lock.ts';

/** Where a chunk rests, relative to its session's directory. */
export interface ChunkRest {
  /** undefined: it was deleted. */
  place?: string;
  /** Top-level directories that are its own. */
  tops: readonly string[];
}

type Rests = Record<string, ChunkRest>;

/** Finished chunks of one session that are remembered. What is not acknowledged begins at most a rotation ago. */
const rememberedChunks = 64;
/** Directories of one session that are remembered. */
const rememberedPaths = 16;
const rememberedTokens = 16_384;
const dayMs = 86_400_000;

/** See the file's head. Tokens are hexadecimal; paths are relative to the output directory. */
export class ResumeBook {
  readonly #directory: string;
  /** Tokens of sessions that began in this process, the oldest first. */
  readonly #begun = new Set<string>();
  /** Files that are there, so that sessions without one cost nothing; undefined: not looked yet. */
  #known: Set<string> | undefined;

  constructor(outputPath: string) {
    this.#directory = `${outputPath}/${journalDirectory}/resume`;
  }

  /** The directory of the session with this token, empty where streams name it; undefined: there is none. */
  pathOf(token: string): string | undefined {
    return this.pathsOf(token)[0];
  }

  /** The same, and in front of it those in which it was before it had to go on under another name; the latest first. */
  pathsOf(token: string): readonly string[] {
    try {
      return JSON.parse(this.#read(token) ?? '[]') as string[];
    } catch {
      // another version's
      return [];
    }
  }

  /** Whether the session began in this process, and not so long ago that it is forgotten. */
  hasBegun(token: string): boolean {
    return this.#begun.has(token);
  }

  /** A session that may be taken up again begins; `goesOn`: what it was before is still wanted. Throws MR_ERR_DISK_CREATE. */
  begin(token: string, path: string, goesOn: boolean): void {
    makeDirectory(this.#directory);
    this.#begun.delete(token);
    this.#begun.add(token);
    const [oldest] = this.#begun;
    if (oldest !== undefined && this.#begun.size > rememberedTokens) this.#begun.delete(oldest);
    const before = goesOn ? this.pathsOf(token).filter((other) => other !== path) : [];
    this.#write(token, JSON.stringify([path, ...before].slice(0, rememberedPaths)));
    if (this.#read(pageOf(path)) === undefined) this.#write(pageOf(path), '{}');
  }

  /** Where a chunk of the session in `path` rests, by the name that it had when it was made; undefined: not known. */
  restOf(path: string, chunk: string): ChunkRest | undefined {
    return this.#rests(path)?.[chunk];
  }

  /** Whether a chunk of the session in `path` has gone to the archives. */
  hasRotated(path: string): boolean {
    return Object.values(this.#rests(path) ?? {}).some(
      ({ place }) => place?.startsWith('archives/') === true,
    );
  }

  /** Nobody uses the chunk any more; sessions that are not in the book are passed over. */
  rested(path: string, chunk: string, rest: ChunkRest): void {
    this.#known ??= new Set(namesIn(this.#directory));
    if (this.#known.size === 0) return;
    const before = this.#rests(path);
    if (before === undefined) return;
    const { [chunk]: _, ...others } = before;
    const kept = Object.entries(others).slice(1 - rememberedChunks);
    this.#write(pageOf(path), JSON.stringify(Object.fromEntries([...kept, [chunk, rest]])));
  }

  /** Forgets what is old. */
  sweep(nowMs: number = Date.now()): void {
    this.#known = undefined;
    for (const name of namesIn(this.#directory)) {
      const path = `${this.#directory}/${name}`;
      const { mtimeMs = nowMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
      if (nowMs - mtimeMs > limits.resumeDays * dayMs) rmSync(path, { force: true });
    }
  }

  #rests(path: string): Rests | undefined {
    const text = this.#read(pageOf(path));
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as Rests;
    } catch (error) {
      tell('error', 'disk:resume', `${this.#directory}/${pageOf(path)} cannot be read: ${why(error)}`, {
        path,
      });
      return undefined;
    }
  }

  #read(name: string): string | undefined {
    try {
      const path = `${this.#directory}/${name}`;
      const text = readFileSync(path, 'utf8');
      const now = new Date();
      utimesSync(path, now, now);
      return text;
    } catch {
      return undefined;
    }
  }

  #write(name: string, text: string): void {
    const path = `${this.#directory}/${name}`;
    try {
      writeFileSync(`${path}.new`, text, { mode: 0o660 });
      renameSync(`${path}.new`, path);
      this.#known?.add(name);
    } catch (error) {
      tell('error', 'disk:resume', `${path} cannot be written: ${why(error)}`, { path });
    }
  }
}

/** Name of the file about the sessions in a directory. */
function pageOf(path: string): string {
  return `${createHash('sha256').update(path).digest('hex').slice(0, 32)}.json`;
}
