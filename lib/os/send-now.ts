/**
 * Sending without a stream's machinery: what the kernel takes at once (2 us) needs no request object, no queue and no
 * later callback (7 us). The rest goes through the socket as ever.
 */
import type { Socket } from 'node:net';
import { loadLibc } from './libc.ts';
import { descriptorOf } from './socket-handle.ts';

/**
 * Sends what the kernel takes now of `bytes[start, end)` and returns how many bytes that were; those behind them are to
 * be written to the socket. 0 where others wait in the socket already, where there is no koffi, and where the connection
 * is broken: writing tells then. The memory is the caller's again. It should not be of Node's pool: where it lies is
 * remembered.
 */
export function sendNow(socket: Socket, bytes: Buffer, start: number, end: number): number {
  if (socket.writableLength > 0 || socket.writableEnded || socket.connecting) return 0;
  const fd = descriptorOf(socket);
  if (fd === undefined) return 0;
  return Math.max(loadLibc().libc?.sendNow(fd, bytes, start, end - start) ?? 0, 0);
}
