/**
 * Names that come from outside, made safe by construction: what leaves this file is one component of a path,
 * or a list of them below some directory, and can lead nowhere else. Source of the rules: relay-protocol,
 * "Names and traversal" (those of relay 2.16, which closed the holes of its predecessors).
 */
import { MillraceError } from '../errors.ts';
import { limits } from '../limits.ts';

/** Our own files beside the producers': names that begin so are refused from outside. */
export const ownPrefix = '.millrace';

/** Names of files that have not got their own yet. */
export const temporaryName = /^\.millrace-.*\.tmp$/;

/**
 * Checks one file or directory name. `what` names it in the error. Returns the name.
 * Errors: MR_ERR_DISK_NAME for an empty name, `.`, `..`, a slash, NUL, or more bytes than the file system takes.
 */
export function checkComponent(what: string, name: string): string {
  const bytes = Buffer.byteLength(name);
  if (name === '') throw refused(what, name, 'it is empty');
  if (name === '.' || name === '..') throw refused(what, name, 'it names a directory above or the same');
  if (name.includes('/')) throw refused(what, name, 'it holds a slash');
  if (name.includes('\0')) throw refused(what, name, 'it holds NUL');
  if (name.startsWith(ownPrefix)) throw refused(what, name, `names beginning with ${ownPrefix} are reserved`);
  if (bytes > limits.fileNameBytes)
    throw refused(what, name, `it has ${bytes} bytes, at most ${limits.fileNameBytes} are possible`);
  return name;
}

/** A session's or host's name: as `checkComponent`, and no leading dot. */
export function checkVisible(what: string, name: string): string {
  if (name.startsWith('.')) throw refused(what, name, 'it begins with a dot');
  return checkComponent(what, name);
}

/**
 * Splits a relative path into checked components. Leading and doubled slashes and `.` are dropped, as real
 * producers send them (`/host//ust`). Returns at least `minimum` components. Errors: MR_ERR_DISK_NAME.
 */
export function checkPath(what: string, path: string, minimum = 0): string[] {
  const components = path.split('/').filter((part) => part !== '' && part !== '.');
  if (components.length < minimum) throw refused(what, path, 'it is empty');
  return components.map((part) => {
    if (part === '..') throw refused(what, path, 'it leads out of its directory');
    return checkComponent(what, part);
  });
}

function refused(what: string, name: string, why: string): MillraceError {
  return new MillraceError('MR_ERR_DISK_NAME', { what, name, why });
}
