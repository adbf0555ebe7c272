/** Giving a Unix socket its name. */
import { lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { dial } from './dial.ts';

/** Bytes of a Unix socket's path, without the NUL (unix(7), sun_path). */
const socketPathBytes = 107;

/**
 * Lets `server` listen at `path`. The socket is bound inside a fresh directory that only the user can enter,
 * `dress` sets its mode and owner there, and then it gets its name: nobody finds it half made. A socket left by a
 * dead process is replaced. Rejects with the system's error, or one that says that a living process serves this
 * path or something else lies there; the server is closed then.
 */
export async function listenUnix(
  server: Server,
  path: string,
  dress: (birthPath: string) => void,
): Promise<void> {
  await refuseIfTaken(path);
  let nursery: string | undefined;
  try {
    nursery = mkdtempSync(join(dirname(path), '.new-'));
    const birthPath = join(nursery, 's');
    const longest = Math.max(Buffer.byteLength(birthPath), Buffer.byteLength(path));
    if (longest > socketPathBytes) throw new Error(`path too long for a socket: ${longest} bytes`);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(birthPath, resolve);
    });
    dress(birthPath);
    renameSync(birthPath, path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    if (nursery !== undefined) rmSync(nursery, { recursive: true, force: true });
  }
}

async function refuseIfTaken(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('something else has this name');
  const living = await dial({ path }).catch(() => undefined);
  if (living === undefined) return;
  living.destroy();
  throw new Error('a living process serves it');
}
