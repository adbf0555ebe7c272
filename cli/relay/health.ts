import { join } from 'node:path';
import { type HealthServer, type Relay, serveHealth, tell, why } from '../../lib/index.ts';
import type { Context } from '../context.ts';
import { makeRunFolder, type RunFolder } from './run-folder.ts';

/**
 * Opens the health socket. At a path that was asked for it must succeed (`MR_ERR_NETWORK_LISTEN`); a failure in
 * the run folder is told. Resolves to undefined when there is none.
 */
export async function openHealth(
  { pid, uid }: Pick<Context, 'pid' | 'uid'>,
  folder: RunFolder,
  path: string | undefined,
  relay: Relay,
): Promise<HealthServer | undefined> {
  const { groupId } = folder;
  const options = uid === 0 ? { mode: 0o660, ...(groupId === undefined ? {} : { groupId }) } : {};
  const health = () => relay.health();
  if (path !== undefined) return serveHealth(path, options, health);
  try {
    makeRunFolder(folder);
    return await serveHealth(join(folder.path, `health-${pid}`), options, health);
  } catch (error) {
    tell('warn', 'cli:no-health-socket', `there is no health socket: ${why(error)}`);
    return undefined;
  }
}
