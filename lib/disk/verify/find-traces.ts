/**
 * Looks for traces below a directory: directories with `metadata`. What lies below one is not searched further.
 * Symbolic links are followed to files, which are streams like others, and not to directories. Source: ctf, "Traces" and "Files of a trace".
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError, why } from '../../errors.ts';
import { ownPrefix, temporaryName } from '../names.ts';

/** Paths are relative to the directory that was searched; '' is that directory itself. */
export interface Found {
  traces: FoundTrace[];
  /** Directories that hold packets or indexes, and no metadata. */
  withoutMetadata: string[];
  /** Temporary files of a chunk writer. */
  temporaries: string[];
  /** Temporary directories of a rotation. */
  temporaryChunks: string[];
}

export interface FoundTrace {
  path: string;
  /** Names of data stream files, in order. */
  streamFiles: string[];
  /** Names of data stream files that have an index file, whether or not they are there themselves. */
  indexed: string[];
}

const magics = [Buffer.from('c1fc1fc1', 'hex'), Buffer.from('c11ffcc1', 'hex')];
const temporaryChunk = /^\.tmp_(old|new)_chunk$/;

/**
 * Searches a directory. Errors: MR_ERR_DISK_READ; `unreadable`, where it is given, is told of those of directories
 * below, by their paths, and the search goes on without them.
 */
export async function findTraces(
  directory: string,
  unreadable?: (path: string, error: MillraceError) => void,
): Promise<Found> {
  const entriesIn = async (path: string): Promise<Entries> => {
    try {
      return await entriesOf(join(directory, path));
    } catch (error) {
      if (unreadable === undefined || path === '') throw error;
      unreadable(path, error as MillraceError);
      return { files: [], directories: [] };
    }
  };
  const found: Found = { traces: [], withoutMetadata: [], temporaries: [], temporaryChunks: [] };
  const queue = [''];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const { files, directories } = await entriesIn(path);
    for (const name of files) if (temporaryName.test(name)) found.temporaries.push(join(path, name));
    const streamFiles = files.filter((name) => !name.startsWith('.') && name !== 'metadata');
    const indexed = directories.includes('index')
      ? indexesOf(path, (await entriesIn(join(path, 'index'))).files, found)
      : [];
    if (files.includes('metadata')) {
      found.traces.push({ path, streamFiles, indexed });
      continue;
    }
    if (indexed.length > 0 || (await anyPacket(directory, path, streamFiles)))
      found.withoutMetadata.push(path);
    for (const name of directories) {
      if (name === ownPrefix) continue;
      if (temporaryChunk.test(name)) found.temporaryChunks.push(join(path, name));
      queue.push(join(path, name));
    }
  }
  return found;
}

interface Entries {
  files: string[];
  directories: string[];
}

async function entriesOf(path: string): Promise<Entries> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const files: string[] = [];
    for (const entry of entries)
      if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(join(path, entry.name)))))
        files.push(entry.name);
    return {
      files,
      directories: entries.filter((entry) => entry.isDirectory()).map(({ name }) => name),
    };
  } catch (cause) {
    throw new MillraceError('MR_ERR_DISK_READ', { path, why: why(cause) }, { cause });
  }
}

/** Whether there is a file behind a link. */
async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/** Names of stream files that have one of these index files. */
function indexesOf(path: string, files: readonly string[], found: Found): string[] {
  for (const name of files) if (temporaryName.test(name)) found.temporaries.push(join(path, 'index', name));
  return files
    .filter((name) => name.endsWith('.idx') && !name.startsWith('.'))
    .map((name) => name.slice(0, -4));
}

/** Whether a file begins with the magic number of packets: then there should be metadata beside it. */
async function anyPacket(directory: string, path: string, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const start = Buffer.alloc(4);
    let file: FileHandle | undefined;
    try {
      file = await open(join(directory, path, name), 'r');
      await file.read(start, 0, 4, 0);
    } catch {
      // What cannot be read is not known to be a packet.
    } finally {
      await file?.close();
    }
    if (magics.some((magic) => magic.equals(start))) return true;
  }
  return false;
}
