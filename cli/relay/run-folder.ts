/** The folder of sockets and port files. Source: relay-behaviour, "Run folder and health socket". */
import { chownSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { lttngHome } from './settings.ts';

/** Where it is, and for whom. */
export interface RunFolder {
  path: string;
  /** Mode of the folder, and of the one above it. */
  mode: number;
  /** Group that both belong to; undefined: the process's own. */
  groupId: number | undefined;
}

const rootPath = '/var/run/lttng/relayd';

export function runFolderPath(context: Pick<Context, 'env' | 'uid'>): string {
  return context.uid === 0 ? rootPath : join(lttngHome(context), '.lttng', 'relayd');
}

/** `group`: who may ask for the health of a relay of root. */
export function runFolder(context: Pick<Context, 'env' | 'uid'>, group: string): RunFolder {
  const path = runFolderPath(context);
  return context.uid === 0
    ? { path, mode: 0o755, groupId: findGroupId(group) }
    : { path, mode: 0o700, groupId: undefined };
}

/** Makes the folder unless it is there. Throws `MR_ERR_DISK_CREATE`. */
export function makeRunFolder({ path, mode, groupId }: RunFolder): void {
  makeDirectory(path, mode);
  if (groupId === undefined) return;
  for (const folder of [dirname(path), path]) chownSync(folder, -1, groupId);
}

/** Node cannot look a group up by name; groups of a directory service are not found. Source: group(5). */
export function findGroupId(name: string, groupsPath = '/etc/group'): number | undefined {
  let text: string;
  try {
    text = readFileSync(groupsPath, 'utf8');
  } catch {
    return undefined;
  }
  const fields = text.split('\n').map((line) => line.split(':'));
  const id = fields.find(([each]) => each === name)?.[2];
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : undefined;
}
