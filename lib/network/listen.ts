/**
 * Accepting connections. Running out of file descriptors must not end those who are connected: the last
 * descriptors are kept for files, connections that would take them are closed and told. (When even those are
 * gone, libuv accepts and closes in silence, through a descriptor that it keeps for that; the server goes on.)
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { MillraceError, why } from '../errors.ts';
import { limits } from '../limits.ts';
import { descriptorLimit } from '../os/descriptors.ts';
import { descriptorOf } from '../os/socket-handle.ts';
import { tell } from '../telemetry.ts';
import { type Address, addressText } from './address.ts';
import { listenUnix } from './unix-socket.ts';

/** Ceilings of one listener. */
export interface ListenOptions {
  /** Connections at a time; absent: as many as there are descriptors. */
  maxConnections?: number;
  /** Keep the writing half of a connection when the peer ends its own; its owner must `end()` it then. */
  allowHalfOpen?: boolean;
}

/** Where to listen: TCP, a Unix socket's path, or a socket that was inherited listening. */
export type ListenAddress = Address | { fd: number };

/** A listener at work. */
export interface Listener<A extends Address = { host: string; port: number }> {
  /** Where it listens, with the port that the system chose for 0. */
  readonly address: A;
  /** Whether connections are accepted. */
  readonly listening: boolean;
  /** Accepts nobody from now on; who is connected stays. */
  stop(): void;
  /** Stops, and resolves when the last accepted connection is closed. Ends none of them: their owners do. */
  close(): Promise<void>;
}

/**
 * Listens on `address` (port 0: any free one). `onConnection` gets each socket paused and unread, without Nagle's
 * delay, ready for `socketSource`; it must listen for 'error' in the same tick. Rejects with
 * MR_ERR_NETWORK_LISTEN. Later failures to accept are told (`network:refused`, at most once a second).
 */
export async function listen(
  address: { host: string; port: number },
  onConnection: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  return (await listenAt(address, onConnection, options)) as Listener;
}

/**
 * The same on any kind of address. The umask says who may use a Unix socket; one that a dead process left is replaced,
 * and it is removed when the listener stops.
 */
export async function listenAt(
  address: ListenAddress,
  onConnection: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener<Address>> {
  const { maxConnections, allowHalfOpen = false } = options;
  const text = 'fd' in address ? `descriptor ${address.fd}` : addressText(address);
  const refused = refusals(text);
  const lastDescriptor = descriptorLimit() - limits.spareDescriptors;
  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen }, (socket) => {
    if ((descriptorOf(socket) ?? 0) < lastDescriptor) return onConnection(socket);
    refused('out of file descriptors');
    socket.destroy();
  });
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  server.on('drop', () => refused(`more than ${maxConnections} connections`));

  await bind(server, address).catch((cause: unknown) => {
    throw new MillraceError('MR_ERR_NETWORK_LISTEN', { address: text, why: why(cause) }, { cause });
  });
  server.removeAllListeners('error').on('error', (error) => refused(why(error)));

  const bound = boundAddress(server, address);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const stop = (): void => {
    if (server.listening && 'path' in address) rmSync(address.path as string, { force: true });
    server.close();
  };
  const close = (): Promise<void> => {
    stop();
    return closed;
  };
  return {
    address: bound,
    get listening() {
      return server.listening;
    },
    stop,
    close,
  };
}

async function bind(server: Server, address: ListenAddress): Promise<void> {
  if ('path' in address && address.path !== undefined)
    return await listenUnix(server, address.path, () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if ('fd' in address) server.listen({ fd: address.fd }, resolve);
    else server.listen(address.port as number, address.host as string, resolve);
  });
}

function boundAddress(server: Server, address: ListenAddress): Address {
  if ('path' in address && address.path !== undefined) return { path: address.path };
  const found = server.address();
  if (found === null || typeof found === 'string') return { path: found ?? '' };
  return { host: found.address, port: found.port };
}

/** Counts refused connections and tells at most once a second. */
function refusals(address: string): (reason: string) => void {
  let refused = 0;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (reason) => {
    refused += 1;
    if (performance.now() - toldAtMs < 1000) return;
    toldAtMs = performance.now();
    tell('warn', 'network:refused', `connection to ${address} refused: ${reason}`, {
      address,
      reason,
      refused,
    });
  };
}
