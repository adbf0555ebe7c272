/** Directories with `metadata`, below the ones that were named. Source: ctf, "A trace on disk" and "Traces". */
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
    await search(root, root, found);
    if (found.length === before)
      throw new MillraceError('MR_ERR_VIEW_INPUT', { path: input, why: 'there is no trace in it' });
  }
  // A directory that was named twice is read once.
  const byPath = new Map(found.map((each) => [each.path, each]));
  return [...byPath.values()];
}

async function search(root: string, path: string, found: TraceDirectory[]): Promise<void> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    if (!entries.some(({ name }) => name === 'metadata')) {
      const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      for (const name of names.sort()) await search(root, join(path, name), found);
      return;
    }
    const streamFiles: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'metadata' || entry.isDirectory()) continue;
      const file = await stat(join(path, entry.name));
      if (file.isFile() && file.size > 0) streamFiles.push(entry.name);
    }
    const metadata = await readMetadata(join(path, 'metadata'));
    found.push({ path, suffix: relative(root, path), streamFiles: streamFiles.sort(), metadata });
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw new MillraceError('MR_ERR_VIEW_INPUT', { path, why: why(cause) }, { cause });
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
