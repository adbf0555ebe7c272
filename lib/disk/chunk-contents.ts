/**
 * What a trace chunk has made: its directories and files, relative to the chunk, so that they stay true when that is
 * renamed. What others have put beside them is not its own.
 */
import { below, topOf, unlinkIfThere } from './chunk-places.ts';
import { makeDirectory, makeNewDirectory } from './directories.ts';

/** A file of a chunk that is told what becomes of its name, before it does. */
export interface ChunkFile {
  /** Another file takes it. */
  replaced(): void;
  /** The chunk is deleted. */
  cleared(): void;
}

/** See the file's head. */
export class ChunkContents {
  /** Where the chunk lies now, absolute. */
  readonly #root: () => string;
  /** Directories that were asked for. */
  readonly directories = new Set<string>();
  /** The top-level ones of them. */
  readonly tops = new Set<string>();
  readonly files = new Map<string, ChunkFile | undefined>();
  /** Directories that are there, those above the ones that were asked for too. */
  readonly #there = new Set<string>();
  /** Those of them that were not there before: what lies in them is the chunk's. */
  readonly #new = new Set<string>();

  constructor(root: () => string) {
    this.#root = root;
  }

  /** What the chunk had before it was used again; `top`: a directory in it. */
  found(top: string, files: Iterable<string>): void {
    this.#note(top);
    for (const file of files) this.files.set(file, undefined);
  }

  /**
   * Makes a directory, and those above it; `isOwnRoot`: for the chunk's own, that it is nobody else's. Where there is
   * nothing but what the chunk made, nothing is looked for first. Errors: MR_ERR_DISK_CREATE.
   */
  makeDirectory(path: string, isOwnRoot: boolean): void {
    const isOwn = path === '' ? isOwnRoot : this.#isBelowNew(path);
    if (isOwn)
      for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1))
        this.#make(path.slice(0, end), makeNewDirectory);
    this.#make(path, isOwn ? makeNewDirectory : makeDirectory);
    this.#note(path);
  }

  #note(path: string): void {
    this.directories.add(path);
    if (path !== '') this.tops.add(topOf(path));
  }

  #make(path: string, make: (path: string) => boolean): void {
    if (this.#there.has(path)) return;
    if (make(below(this.#root(), path))) this.#new.add(path);
    this.#there.add(path);
  }

  /** Unlinks a file, if there is one: also one that an earlier session has left at its place. */
  removeFile(path: string): void {
    if (!this.files.delete(path) && this.#isBelowNew(path)) return;
    unlinkIfThere(below(this.#root(), path));
  }

  /** Whether nobody but the chunk can have put something there. */
  #isBelowNew(path: string): boolean {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      if (this.#new.has(path.slice(0, at))) return true;
    return this.#new.has('');
  }
}
