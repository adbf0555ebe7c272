/**
 * One trace chunk: a period of a session's output, and the directory it lies in. It is shared by everybody who
 * writes into it, and lives exactly as long as it has users; who is a user is a set of owners, not a count. When
 * the last one leaves, what the producer asked to become of it is carried out, once.
 *
 * Where a chunk lies, relative to its session's directory: nowhere of its own (the session's directory, in which
 * it owns only what it made), `.tmp_new_chunk` (made while its predecessor is not closed), `<created>-<n>`,
 * `.tmp_old_chunk` (from the moment its successor is created), `archives/<created>-<closed>-<n>`.
 * Source: relay-behaviour, "Chunks".
 */
import { existsSync } from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import type { ChunkDone } from '../stage/frames.ts';
import { tell } from '../telemetry.ts';
import { ChunkContents, type ChunkFile } from './chunk-contents.ts';
import {
  archives,
  below,
  deleteChunk,
  filesBelow,
  isTemporary,
  moveChunk,
  namesIn,
  newChunk,
  oldChunk,
  restingPlace,
} from './chunk-places.ts';
import { makeDirectory } from './directories.ts';
import type { ChunkRest } from './resume-book.ts';
import { dateOfChunk } from './session-path.ts';
import type { ChunkJournal } from './store-context.ts';

/** Where a chunk is and what it belongs to. */
export interface ChunkOrigin {
  outputPath: string;
  /** The session's directory below the output directory; empty for producers that name it stream by stream. */
  sessionPath: readonly string[];
  /** The sessiond's session it belongs to, over all its consumers. */
  session: string;
  /** undefined: the nameless chunk of a producer before 2.11. */
  id: bigint | undefined;
  creationTimeS: bigint;
  /** A name that replaces all others (snapshots): such a chunk is never renamed. */
  overrideName: string | undefined;
  journal: ChunkJournal;
  /** What it had when it came to rest, in case it is used again; undefined: it is new. */
  rest?: ChunkRest | undefined;
  /** It comes to rest, `place` below the session's directory (undefined: it was deleted), with what `ChunkRest` says. */
  onRest?: (chunk: string, rest: ChunkRest) => void;
  /** It is at its last place, `path` below the output directory, and complete; not for one that is empty or deleted. */
  onComplete: (path: string) => void;
  /** The last user has left and the final action is done. */
  onUnused: () => void;
}

const answered = Promise.resolve();

/** See the file's head. */
export class TraceChunk {
  readonly #origin: ChunkOrigin;
  /** Date of its creation as names have it. */
  readonly #created: string;
  /** Its number in the journal. */
  readonly number: number;
  readonly #birthName: string;
  /** Below the session's directory. */
  #path: string;
  /** Where it goes if nothing is to become of it. */
  #home: string;
  /** Date of its close in its name, with a hyphen; empty before that. */
  #closed = '';
  #action: ChunkDone['action'] = 'none';
  readonly #users = new Set<object>();
  /** Directories as `directory` found them, until the next rename. */
  readonly #directories = new Map<string, { directory: string; relative: string }>();
  readonly #contents = new ChunkContents(() => this.#absolute(this.path));

  /** Makes its directory at `path` below the session's. Errors: MR_ERR_DISK_CREATE. */
  constructor(origin: ChunkOrigin, path: readonly string[]) {
    this.#origin = origin;
    this.#created = dateOfChunk(Number(origin.creationTimeS));
    this.#birthName = this.name;
    this.#path = path.join('/');
    this.#home = isTemporary(this.#path) ? this.name : this.#path;
    const sessionPath = origin.sessionPath.join('/');
    const places = { path: this.#path, home: this.#home, name: this.name };
    this.number = origin.journal.chunkMade({ sessionPath, ...places });
    try {
      this.directory([]);
      if (origin.rest !== undefined) this.#find(origin.rest);
    } catch (error) {
      origin.journal.chunkGone(this.number);
      throw error;
    }
  }

  /** Takes back what it had: all that lies in its directory, or in its own part of the session's. */
  #find({ tops }: ChunkRest): void {
    const { journal } = this.#origin;
    const root = this.#absolute(this.path);
    for (const top of this.#path === '' ? tops : namesIn(root)) {
      journal.chunkDirectory(this.number, top);
      const files = filesBelow(root, top);
      for (const file of files) journal.fileFound(this.number, file);
      this.#contents.found(top, files);
    }
  }

  get id(): bigint | undefined {
    return this.#origin.id;
  }

  get session(): string {
    return this.#origin.session;
  }

  get named(): boolean {
    return this.#origin.overrideName !== undefined;
  }

  /** `<created>-<n>`, and `<created>-<closed>-<n>` once it is closed; chunk 0 has no name before that. */
  get name(): string {
    const { id, overrideName } = this.#origin;
    return overrideName ?? `${this.#created}${this.#closed}-${id}`;
  }

  /** Directory of the chunk, relative to the output directory. */
  get path(): string {
    return this.#relative(this.#path);
  }

  get users(): number {
    return this.#users.size;
  }

  /** Whether it still lies in `.tmp_old_chunk`. */
  get isOld(): boolean {
    return this.liesAt(oldChunk);
  }

  /** Whether it lies where closed chunks go: it was finished, and is used again. */
  get isArchived(): boolean {
    return this.#path.startsWith(`${archives}/`);
  }

  /** Whether it lies at `place` below its session's directory. */
  liesAt(place: string): boolean {
    return this.#path === place;
  }

  acquire(user: object): void {
    this.#users.add(user);
  }

  /** Errors are told, not thrown: whoever leaves last is not to blame. */
  release(user: object): void {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    try {
      this.#finish();
    } catch (error) {
      tell('error', 'disk:chunk', `trace chunk ${this.path}: ${why(error)}`, {
        path: this.path,
        action: this.#action,
      });
    }
    this.#origin.onUnused();
  }

  /** A directory in the chunk, made if need be; absolute, and relative to the output directory. Errors: MR_ERR_DISK_CREATE. */
  directory(components: readonly string[]): { directory: string; relative: string } {
    const key = components.join('/');
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const relative = this.#relative(below(this.#path, key));
    const found = { directory: this.#absolute(relative), relative };
    if (!this.#contents.directories.has(key)) {
      if (key !== '') this.#origin.journal.chunkDirectory(this.number, key);
      this.#contents.makeDirectory(key, this.#path !== '');
    }
    this.#directories.set(key, found);
    return found;
  }

  /** Notes a file, so that deleting the chunk deletes it; `components` relative to the chunk. `file`: is told before. */
  addFile(components: readonly string[], file?: ChunkFile): void {
    this.#contents.files.set(components.join('/'), file);
  }

  /** Another file is about to take the name. */
  replaceFile(components: readonly string[]): void {
    this.#contents.files.get(components.join('/'))?.replaced();
  }

  /** Unlinks a file of the chunk, if there is one: also one that an earlier session has left at its place. */
  removeFile(components: readonly string[]): void {
    this.#contents.removeFile(components.join('/'));
  }

  /** A successor is created. Errors: MR_ERR_DISK_CREATE. */
  becomeOld(): void {
    if (!this.named) this.#rename(oldChunk);
  }

  /**
   * Its predecessor is closed, or nothing is to become of it: it gets its own place, that of the session if
   * `inSession` and nothing lies there. Errors: MR_ERR_DISK_CREATE.
   */
  settle(inSession: boolean): void {
    if (!this.named) this.#rest(inSession ? '' : this.name);
  }

  #rest(home: string): void {
    const session = this.#absolute(this.#relative(''));
    this.#rename(restingPlace(session, this.#path, { home, name: this.name }, this.#contents.tops));
  }

  /** What is to become of it when its last user leaves; a later word counts. */
  close(closeTimeS: bigint, action: ChunkDone['action']): void {
    this.#closed = `-${dateOfChunk(Number(closeTimeS))}`;
    this.#action = this.named && action === 'moveToCompleted' ? 'none' : action;
    this.#origin.journal.chunkClosed(this.number, this.#action, `${archives}/${this.name}`);
  }

  #finish(): void {
    if (this.#action === 'moveToCompleted') {
      makeDirectory(this.#absolute(this.#relative(archives)));
      // An archive appears whole: what lies in the session's directory is gathered elsewhere first.
      if (this.#path === '') this.#rename(oldChunk);
      this.#rename(`${archives}/${this.name}`);
      const { path } = this;
      // whoever waits for the answer to what completed it is served first
      void answered.then(() => tell('info', 'disk:chunk-done', `trace chunk ${path} is complete`, { path }));
    } else if (this.#action === 'delete') this.#delete();
    else if (isTemporary(this.#path)) this.#rest(this.#home);
    // in the book before the journal forgets it
    const place = this.#action === 'delete' ? {} : { place: this.#path };
    this.#origin.onRest?.(this.#birthName, { ...place, tops: [...this.#contents.tops] });
    this.#origin.journal.chunkGone(this.number);
    const isKept =
      this.#action === 'moveToCompleted' || (this.#action === 'none' && this.#contents.files.size > 0);
    if (isKept) this.#origin.onComplete(this.path);
  }

  #delete(): void {
    this.#origin.journal.settle();
    const { files } = this.#contents;
    for (const file of files.values()) file?.cleared();
    deleteChunk(this.#absolute(this.path), files.keys(), this.#contents.tops, this.#path !== '');
    files.clear();
  }

  /** Moves the chunk's directory. From or to the session's own directory, only what the chunk made there moves. */
  #rename(to: string): void {
    const from = this.#path;
    if (from === to) return;
    const { journal } = this.#origin;
    try {
      journal.moveBegun(this.number, to);
      moveChunk(this.#absolute(this.#relative('')), from, to, this.#contents.tops);
      journal.moveDone(this.number);
    } catch (error) {
      const path = this.#absolute(this.#relative(to));
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
    this.#path = to;
    this.#directories.clear();
    if (!isTemporary(to)) this.#home = to;
  }

  #relative(path: string): string {
    return below(this.#origin.sessionPath.join('/'), path);
  }

  #absolute(relative: string): string {
    return below(this.#origin.outputPath, relative);
  }
}

/** The name of a chunk that is not closed; no other chunk of its session has it. */
export function birthName(origin: Pick<ChunkOrigin, 'overrideName' | 'creationTimeS' | 'id'>): string {
  return origin.overrideName ?? `${dateOfChunk(Number(origin.creationTimeS))}-${origin.id}`;
}

/**
 * Where a new chunk begins. `session.sessionPath`: its session's directory, absolute. One that a consumer has made
 * and left is gone on with where it lies. Source: relay-behaviour, "Initial path".
 */
export function initialPath(
  origin: Pick<ChunkOrigin, 'overrideName' | 'creationTimeS' | 'id'>,
  session: { sessionPath: string; hasCurrent: boolean; hasRotated: boolean },
): readonly string[] {
  if (origin.overrideName !== undefined) return [origin.overrideName];
  const name = birthName(origin);
  if (existsSync(below(session.sessionPath, name))) return [name];
  if (session.hasCurrent) return [newChunk];
  return session.hasRotated ? [name] : [];
}

/** A directory in a chunk, relative to the output directory; `chunk` undefined: what it is called in any chunk. */
export function pathIn(chunk: TraceChunk | undefined, components: readonly string[]): string {
  return [chunk?.path ?? '', ...components].filter((part) => part !== '').join('/');
}
