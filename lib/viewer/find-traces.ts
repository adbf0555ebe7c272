/** Directories with `metadata`, below the ones that were named. Source: ctf, "A trace on disk" and "Traces". */
import type { Dirent, Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';

/** One directory that holds a trace, or a part of one. */
export interface TraceDirectory {
  /** Absolute. */
  path: string;
  /** Relative to the input under which it was found; empty: it is the input. */
  suffix: string;
  /** Names of its data stream files, in order. */
  streamFiles: string[];
  metadata: Buffer;
}

/** Searches directories, in any order. Rejects MR_ERR_VIEW_INPUT where one cannot be read or holds no trace. */
export async function findTraces(inputs: readonly string[]): Promise<TraceDirectory[]> {
  const found: TraceDirectory[] = [];
  for (const input of inputs) {
    const root = resolve(input);
    const before = found.length;
    await search({ root, path: root, above: [] }, found);
    if (found.length === before)
      throw new MillraceError('MR_ERR_VIEW_INPUT', { path: input, why: 'there is no trace in it' });
  }
  // A directory that was named twice is read once.
  const byPath = new Map(found.map((each) => [each.path, each]));
  return [...byPath.values()];
}

/** A directory that is searched. `above`: those above it, by device and inode, to which links may lead back. */
interface Place {
  root: string;
  path: string;
  above: readonly string[];
}

/** Follows symbolic links, as babeltrace2 does; one that leads nowhere, or back, is passed over. */
async function search({ root, path, above }: Place, found: TraceDirectory[]): Promise<void> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    if (!entries.some(({ name }) => name === 'metadata')) {
      const { dev, ino } = await stat(path);
      const here = `${dev}:${ino}`;
      if (above.includes(here)) return;
      const names: string[] = [];
      for (const entry of entries)
        if (entry.isDirectory() || (entry.isSymbolicLink() && (await behind(path, entry))?.isDirectory()))
          names.push(entry.name);
      for (const name of names.sort())
        await search({ root, path: join(path, name), above: [...above, here] }, found);
      return;
    }
    const streamFiles: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'metadata' || entry.isDirectory()) continue;
      const file = await behind(path, entry);
      if (file?.isFile() && file.size > 0) streamFiles.push(entry.name);
    }
    const metadata = await readMetadata(join(path, 'metadata'));
    found.push({ path, suffix: relative(root, path), streamFiles: streamFiles.sort(), metadata });
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw new MillraceError('MR_ERR_VIEW_INPUT', { path, why: why(cause) }, { cause });
  }
}

/** What an entry is, or what its link leads to; undefined: a link that leads nowhere. */
async function behind(path: string, entry: Dirent): Promise<Stats | undefined> {
  try {
    return await stat(join(path, entry.name));
  } catch (error) {
    if (entry.isSymbolicLink()) return undefined;
    throw error;
  }
}

async function readMetadata(path: string): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > limits.metadataBytes)
    throw new MillraceError('MR_ERR_VIEW_INPUT', {
      path,
      why: `${size} bytes, at most ${limits.metadataBytes} are read`,
    });
  return readFile(path);
}
