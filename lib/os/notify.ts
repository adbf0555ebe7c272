/**
 * Telling a service manager how far this process is: one datagram to the socket that `NOTIFY_SOCKET` names.
 * Source: sd_notify(3). Node has no Unix datagrams, so this needs koffi.
 */
import { endianness } from 'node:os';
import { errnoName, loadLibc } from './libc.ts';

/** Bytes of the path in `struct sockaddr_un` (unix(7)). */
const pathBytes = 108;
const AF_UNIX = 1;

/**
 * Sends `lines` (`READY=1`) to the socket at `address`: an absolute path, or `@NAME` for one without a file.
 * Returns why it could not be sent; undefined when it was.
 */
export function notifyManager(address: string, lines: readonly string[]): string | undefined {
  const to = socketAddress(address);
  if (to === undefined) return `"${address}" is no address of a Unix socket`;
  const { libc, missing } = loadLibc();
  if (libc === undefined) return missing;
  const errno = libc.sendUnixDatagram(to, Buffer.from(lines.join('\n')));
  return errno === 0 ? undefined : `${address}: ${errnoName(errno)}`;
}

/** `struct sockaddr_un`: family, then a path that ends with NUL, or NUL and a name that ends with the address. */
function socketAddress(address: string): Buffer | undefined {
  const isAbstract = address.startsWith('@');
  if (!isAbstract && !address.startsWith('/')) return undefined;
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (path.length > pathBytes || path.length < 2) return undefined;
  const family = Buffer.alloc(2);
  if (endianness() === 'LE') family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, path]);
}
