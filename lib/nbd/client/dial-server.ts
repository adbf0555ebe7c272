/** Getting to a server: a connection, and a handshake that ends in time. */
import type { Socket } from 'node:net';
import { MillraceError } from '../../errors.ts';
import { type Address, addressText } from '../../network/address.ts';
import { dial } from '../../network/dial.ts';
import { setKeepAlive } from '../../os/socket-options.ts';
import type { HandshakeOptions } from './handshake.ts';

/** Where to connect, and how patiently. */
export interface NbdClientOptions extends HandshakeOptions {
  address: Address;
  /** Connect from this address. */
  localAddress?: string;
  signal?: AbortSignal;
  /** For the connection, and for the handshake after it, milliseconds. */
  connectMs?: number;
  handshakeMs?: number;
  /** The connection is given up when requests wait and nothing moves for so long, milliseconds; undefined: never. */
  silenceMs?: number;
}

/** As a server has it for its clients. Source: nbd-migration, A.6. */
const keepAlive = { enabled: true, idleTimeS: 30, probeIntervalS: 10, maxProbeCount: 3 };

/** Connects. Rejects as `dial`. */
export async function dialServer({
  address,
  connectMs = 15_000,
  localAddress,
  signal,
}: Omit<NbdClientOptions, 'exportName'>): Promise<{ socket: Socket; peer: string }> {
  const socket = await dial(address, {
    timeoutMs: connectMs,
    ...(signal === undefined ? {} : { signal }),
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  if (address.path === undefined) setKeepAlive(socket, keepAlive);
  return { socket, peer: addressText(address) };
}

/** Runs a handshake under its deadline; the socket does not outlive a failure. */
export async function inTime<T>(
  socket: Socket,
  peer: string,
  { handshakeMs = 15_000, signal }: Pick<NbdClientOptions, 'handshakeMs' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  const seconds = handshakeMs / 1000;
  let late: MillraceError | undefined;
  const timer = setTimeout(() => {
    late = new MillraceError('MR_ERR_NBD_SLOW_HANDSHAKE', { peer, seconds });
    socket.destroy();
  }, handshakeMs);
  const abort = (): void => void socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await work();
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    signal?.throwIfAborted();
    throw late ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
