/**
 * One relay per output directory. The lock file is locked where the system can; it also says which process holds
 * it, so that relays without byte-range locks see each other and an operator sees whom to stop.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { MillraceError, why } from '../errors.ts';
import type { RangeLocks } from '../os/range-locks.ts';
import { makeDirectory } from './directories.ts';

/** Below the output directory: what a running relay keeps for itself. */
export const journalDirectory = '.millrace';
const lockName = 'lock';
/** In that directory: which files are suspended, see `suspension-marks.ts`. */
export const marksName = 'suspended';

/**
 * Takes the output directory for this process and returns the descriptor that holds it; `releaseOutput` gives it
 * back. Throws MR_ERR_DISK_IN_USE while another relay lives, MR_ERR_DISK_CREATE.
 */
export function lockOutput(outputPath: string, locks: RangeLocks | undefined): number {
  const directory = `${outputPath}/${journalDirectory}`;
  const path = `${directory}/${lockName}`;
  for (;;) {
    const fd = openLock(directory, path);
    try {
      const refused = locks?.tryLock(fd, 'exclusive', 0, 0) === false;
      const owner = readFileSync(fd, 'utf8').trim();
      if (refused || isAlive(owner)) {
        const who = owner === '' ? 'another process' : `process ${owner.split(' ')[0]}`;
        throw new MillraceError('MR_ERR_DISK_IN_USE', { path: outputPath, who });
      }
      // a relay that ended between our open and our lock has removed the file: nobody else would see our lock
      if (isAt(fd, path)) {
        ftruncateSync(fd, 0);
        writeSync(fd, `${identity(process.pid)}\n`, 0);
        return fd;
      }
      closeSync(fd);
    } catch (error) {
      closeSync(fd);
      if (error instanceof MillraceError) throw error;
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
  }
}

/** Gives the output directory back and removes what is left of the lock. */
export function releaseOutput(outputPath: string, fd: number): void {
  const directory = `${outputPath}/${journalDirectory}`;
  // in this order nobody can take a lock file that is about to go without noticing
  rmSync(`${directory}/${marksName}`, { force: true });
  rmSync(`${directory}/${lockName}`, { force: true });
  closeSync(fd);
  try {
    rmdirSync(directory);
  } catch {
    // another relay is already in it
  }
}

function openLock(directory: string, path: string): number {
  for (;;) {
    try {
      makeDirectory(directory);
      return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o660);
    } catch (error) {
      // the directory went between the two calls: its relay ended
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
  }
}

function isAt(fd: number, path: string): boolean {
  const { ino, dev } = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there?.ino === ino && there.dev === dev;
}

function isAlive(owner: string): boolean {
  const pid = Number(owner.split(' ')[0]);
  return Number.isSafeInteger(pid) && pid > 0 && identity(pid) === owner;
}

/** A process as nobody after it can be: number, start time, boot. Empty when none of that number lives. */
function identity(pid: number): string {
  try {
    // the second field, the program's name in parentheses, may hold anything; the start time is the 22nd
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    // killed but not waited for: nobody is left in it
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : `${pid} ${fields[19]} ${boot}`;
  } catch {
    return '';
  }
}
