/** Files that say that a relay runs, and where; they go when it ends. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError, type RelayAddresses, why } from '../../lib/index.ts';
import { makeRunFolder, type RunFolder } from './run-folder.ts';

/** Removes what was written; a file that is gone already is none of our business. */
export type RemoveFiles = () => void;

/** Writes the process id, as lttng-sessiond does: digits and a newline. Throws `MR_ERR_DISK_CREATE`. */
export function writePidFile(path: string, pid: number): RemoveFiles {
  return writeFiles([[path, `${pid}\n`]]);
}

/**
 * Writes `control.port`, `data.port` and `live.port` into the run folder, which is made when missing. Throws
 * `MR_ERR_DISK_CREATE`. Source: relay-behaviour, "Options" (LTTng 2.14).
 */
export function writePortFiles(folder: RunFolder, addresses: RelayAddresses): RemoveFiles {
  makeRunFolder(folder);
  return writeFiles(
    (['control', 'data', 'live'] as const).map((role) => [
      join(folder.path, `${role}.port`),
      `${addresses[role].port}\n`,
    ]),
  );
}

function writeFiles(files: ReadonlyArray<readonly [path: string, text: string]>): RemoveFiles {
  const remove = (): void => {
    for (const [path] of files) rmSync(path, { force: true });
  };
  for (const [path, text] of files) {
    try {
      writeFileSync(path, text);
    } catch (error) {
      remove();
      throw new MillraceError('MR_ERR_DISK_CREATE', { path, why: why(error) }, { cause: error });
    }
  }
  return remove;
}
