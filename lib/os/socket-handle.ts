/**
 * The one place that looks behind a `net.Socket`. `_handle` is Node's own field, not documented: everything taken
 * from it may be missing, and its callers have another way then.
 */
import type { Socket } from 'node:net';

/** What a TCP or Unix socket's handle has in Node 20 to 24, as far as it is used here. */
export interface SocketHandle {
  readonly fd?: number;
  useUserBuffer?(buffer: Uint8Array): void;
}

/** Node's own fields of a socket. */
export interface SocketInside {
  _handle?: SocketHandle | null;
  /** The server that counts this socket among its connections. */
  _server?: unknown;
}

/** A socket's own fields; `socket` may be closed, then there is no handle. */
export function insideOf(socket: Socket): SocketInside {
  return socket as unknown as SocketInside;
}

/** The socket's file descriptor; undefined when it is closed or has none of its own (TLS). */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = insideOf(socket)._handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}
