/**
 * The health socket, as lttng-relayd has it: a Unix socket on which a program asks whether every part of the relay
 * moves. It sends the command 0 in 4 bytes and gets 8 bytes, a bit for each part that is unwell; both in the host's
 * byte order. Then the connection is over. Source: relay-behaviour, "Run folder and health socket".
 */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { listenUnix } from './unix-socket.ts';

/** Who may ask. */
export interface HealthSocketOptions {
  /** Mode of the socket; absent: as the umask leaves it. */
  mode?: number;
  /** Numeric group of the socket; absent: that of the process. */
  groupId?: number;
}

/** A health socket at work. */
export interface HealthServer {
  /** Cuts who is connected and removes the socket. */
  close(): Promise<void>;
}

const commandBytes = 4;
const check = 0;

/**
 * Serves `health`, which returns the bits of what is unwell, on a socket at `path`; one that a dead process left
 * is replaced. Whoever sends another command, too little, or nothing for `limits.healthClientSeconds` is cut
 * without an answer. Rejects with MR_ERR_NETWORK_LISTEN.
 */
export async function serveHealth(
  path: string,
  { mode, groupId }: HealthSocketOptions,
  health: () => number,
): Promise<HealthServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    answer(socket, health);
  });
  server.maxConnections = limits.healthClients;
  try {
    await listenUnix(server, path, (birthPath) => {
      if (groupId !== undefined) chownSync(birthPath, -1, groupId);
      if (mode !== undefined) chmodSync(birthPath, mode);
    });
  } catch (cause) {
    throw new MillraceError('MR_ERR_NETWORK_LISTEN', { address: path, why: why(cause) }, { cause });
  }
  return {
    close: () =>
      new Promise((resolve) => {
        rmSync(path, { force: true });
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function answer(socket: Socket, health: () => number): void {
  const command = new Uint32Array(1);
  const bytes = new Uint8Array(command.buffer);
  let received = 0;
  socket.setTimeout(limits.healthClientSeconds * 1000, () => socket.destroy());
  // Somebody who has gone needs no answer.
  socket.on('error', () => socket.destroy());
  socket.on('data', (some: Buffer) => {
    if (received === commandBytes) return;
    const taken = some.subarray(0, commandBytes - received);
    bytes.set(taken, received);
    received += taken.length;
    if (received < commandBytes) return;
    if (command[0] === check) socket.end(new Uint8Array(BigUint64Array.of(BigInt(health())).buffer));
    else socket.destroy();
  });
}
