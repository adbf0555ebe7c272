/** Making directories. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError, why } from '../errors.ts';

/** Directories are 0770, less the umask. Source: relay-behaviour, "Modes and opening". */
export const directoryMode = 0o770;

/** As `makeDirectory`; one call of the system where, as is likely, only the last directory is missing. */
export function makeNewDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: directoryMode });
    return true;
  } catch {
    return makeDirectory(path);
  }
}

/**
 * Makes a directory, and its parents, unless they are there. One by one, because Node 20's own recursion never
 * ends where the system says ENOENT below a directory that exists, as in /proc. Returns whether it is new. Errors:
 * MR_ERR_DISK_CREATE.
 */
export function makeDirectory(path: string, mode: number = directoryMode): boolean {
  let isNew = false;
  const missing: string[] = [];
  for (let at = path; !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.push(at);
  for (const directory of missing.reverse()) {
    try {
      mkdirSync(directory, { mode });
      isNew = true;
    } catch (error) {
      // Somebody else was faster.
      isNew = false;
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new MillraceError('MR_ERR_DISK_CREATE', { path: directory, why: why(error) }, { cause: error });
    }
  }
  return isNew;
}
