/**
 * Which trace chunk of a growing session is followed, and which are to come. A chunk is known by the inodes of its
 * files, wherever renames take it.
 */
import { join } from 'node:path';
import { inodeOf } from './follow-trace.ts';
import type { ChunkLayout } from './session-layout.ts';

/** Looks at the directory after which what has not changed is believed to stay. */
export const patience = 4;

/** What a relay calls a chunk that it has begun and not entered. */
const temporaryName = '.tmp_new_chunk';

/** See the file's head. */
export class FollowChunks {
  readonly #root: string;
  /** The one that is followed, as it was seen last. */
  current: ChunkLayout | undefined;
  /** Looks since it was there. */
  missing = 0;
  /** Those that wait to be entered, in order. */
  #next: ChunkLayout[] = [];
  #temporaryLooks = 0;
  /** Inodes of those that have been left. */
  readonly #left = new Set<bigint>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether the one that is followed has been away for longer than a rename takes. */
  get isGone(): boolean {
    return this.missing > 1;
  }

  get hasNext(): boolean {
    return this.#next.length > 0;
  }

  /** Whether there is one that has not got its name yet. */
  get hasUnnamed(): boolean {
    return this.#temporaryLooks > 0;
  }

  /** Takes in what is there now; `own`: inodes of the files that are followed. Returns whether their chunk is there. */
  async look(chunks: readonly ChunkLayout[], own: ReadonlySet<bigint>): Promise<boolean> {
    const next: ChunkLayout[] = [];
    let current: ChunkLayout | undefined;
    for (const chunk of chunks) {
      const inodes = await this.#inodesOf(chunk);
      if (inodes.some((inode) => own.has(inode))) current ??= chunk;
      else if (!inodes.some((inode) => this.#left.has(inode))) next.push(chunk);
    }
    // Until it has its name, it is not known what it is called; one whose relay died keeps the temporary one.
    this.#temporaryLooks = next.some(isTemporary) ? this.#temporaryLooks + 1 : 0;
    this.#next = this.#temporaryLooks > patience ? next : next.filter((chunk) => !isTemporary(chunk));
    this.missing = current === undefined ? this.missing + 1 : 0;
    this.current = current ?? this.current;
    return current !== undefined;
  }

  async #inodesOf({ traces }: ChunkLayout): Promise<bigint[]> {
    const inodes: bigint[] = [];
    for (const { found } of traces)
      for (const name of ['metadata', ...found.streamFiles]) {
        const inode = await inodeOf(join(this.#root, found.path, name));
        if (inode !== undefined) inodes.push(inode);
      }
    return inodes;
  }

  /** Goes into the next one that is there; undefined: there is none. */
  enter(): ChunkLayout | undefined {
    const next = this.#next.shift();
    this.current = next ?? this.current;
    return next;
  }

  /** The one that is followed, these files, is never to be entered again. */
  leave(inodes: Iterable<bigint>): void {
    for (const inode of inodes) this.#left.add(inode);
  }
}

function isTemporary({ path }: ChunkLayout): boolean {
  return path.endsWith(temporaryName);
}
