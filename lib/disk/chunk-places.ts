/**
 * Where the directory of a trace chunk can lie, and how it gets from one place to another. Places are relative to
 * the session's directory; the empty one is that directory itself, in which a chunk owns only the top-level
 * directories that it made (`ust`, `kernel`). Source: relay-behaviour, "Where a chunk lies".
 */
import { existsSync, lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { makeDirectory } from './directories.ts';

/** Made while its predecessor is not closed yet. */
export const newChunk = '.tmp_new_chunk';
/** From the moment its successor is created. */
export const oldChunk = '.tmp_old_chunk';
export const archives = 'archives';

/** Names in a directory; none where there is no such directory. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Files below `root/top`, relative to `root`. */
export function filesBelow(root: string, top: string): string[] {
  try {
    return readdirSync(below(root, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  } catch {
    return [];
  }
}

/** Whether a chunk lies there only until the producer has said what is to become of it. */
export function isTemporary(place: string): boolean {
  return place === newChunk || place === oldChunk;
}

/** A path below a directory; either may be empty. */
export function below(directory: string, path: string): string {
  return directory === '' || path === '' ? directory + path : `${directory}/${path}`;
}

/** The top-level directory that a path lies in. */
export function topOf(path: string): string {
  const slash = path.indexOf('/');
  return slash === -1 ? path : path.slice(0, slash);
}

/**
 * Moves a chunk's directory within `session` (absolute); from or to the session's own directory, only `tops` move.
 * `rename`: how one directory is renamed. Throws what the system says.
 */
export function moveChunk(
  session: string,
  from: string,
  to: string,
  tops: Iterable<string>,
  rename: (from: string, to: string) => void = renameSync,
): void {
  if (from !== '' && to !== '') {
    rename(below(session, from), below(session, to));
    return;
  }
  if (to !== '') makeDirectory(below(session, to));
  for (const top of tops) rename(below(session, below(from, top)), below(session, below(to, top)));
  // What a consumer that has left, or somebody else, had in it stays there.
  if (from !== '') removeEmptyTree(below(session, from));
}

/**
 * Where the chunk that lies at `from` goes if nothing is to become of it: home, as if its producer had closed it
 * without a command; where something else lies there, to its own name, which no other chunk has.
 */
export function restingPlace(
  session: string,
  from: string,
  { home, name }: { home: string; name: string },
  tops: Iterable<string>,
): string {
  if (home !== '' || from === '') return home;
  const isThere = (place: string, top: string) => existsSync(below(session, below(place, top)));
  return [...tops].some((top) => isThere(from, top) && isThere('', top)) ? name : '';
}

/** Unlinks `files` of the chunk at `root`; what others put there stays, and keeps its directories. */
export function deleteChunk(
  root: string,
  files: Iterable<string>,
  tops: Iterable<string>,
  ownsRoot: boolean,
): void {
  for (const file of files) unlinkIfThere(`${root}/${file}`);
  for (const top of tops) removeEmptyTree(`${root}/${top}`);
  if (ownsRoot) removeEmptyTree(root);
}

/** Unlinks a file; that there is none is no error, and the usual case: asking first costs less than an exception. */
export function unlinkIfThere(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Removes a directory tree in which there is no file; one that holds something stays, without an error. */
export function removeEmptyTree(path: string): void {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeEmptyTree(`${path}/${entry.name}`);
    rmdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}
