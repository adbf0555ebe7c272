/** Accepting connections on a Unix socket. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { MillraceError, why } from '../errors.ts';
import { listenUnix } from './unix-socket.ts';

/** A listener at work; see `Listener`. */
export interface UnixListener {
  readonly address: { path: string };
  /** Accepts nobody from now on, and removes the socket; resolves when the last accepted connection is closed. */
  close(): Promise<void>;
}

/**
 * Listens at `path`, mode 0600; a socket that a dead process left is replaced. `onConnection` gets each socket paused
 * and unread; it must listen for 'error' in the same tick. `allowHalfOpen`: as for `listen`. Rejects with
 * MR_ERR_NETWORK_LISTEN.
 */
export async function listenPath(
  path: string,
  onConnection: (socket: Socket) => void,
  options: { allowHalfOpen?: boolean } = {},
): Promise<UnixListener> {
  const { allowHalfOpen = false } = options;
  const server = createServer({ pauseOnConnect: true, allowHalfOpen }, onConnection);
  try {
    await listenUnix(server, path, (birthPath) => chmodSync(birthPath, 0o600));
  } catch (cause) {
    throw new MillraceError('MR_ERR_NETWORK_LISTEN', { address: path, why: why(cause) }, { cause });
  }
  return {
    address: { path },
    close: () =>
      new Promise((resolve) => {
        rmSync(path, { force: true });
        server.close(() => resolve());
      }),
  };
}
