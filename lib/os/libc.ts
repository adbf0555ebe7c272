/**
 * The calls of the C library that Node does not make for us, through koffi (an optional dependency with
 * prebuilt binaries). Loaded at first use. A call returns 0 or the system's error number: nothing throws here.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { why } from '../errors.ts';

/** C calls; `flock` is the 32-byte `struct flock`, `value` an option's value in the host's byte order. */
export interface Libc {
  fcntlLock(fd: number, command: number, flock: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** Sends one datagram from a socket of its own, without waiting; `address` is a whole `struct sockaddr_un`. */
  sendUnixDatagram(address: Uint8Array, bytes: Uint8Array): number;
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** The calls, or why there are none. */
export type LibcOutcome = { libc: Libc; missing?: never } | { libc?: never; missing: string };

let outcome: LibcOutcome | undefined;

/**
 * The C library, loaded once. `MILLRACE_NO_NATIVE=1` in the environment behaves as if koffi were not installed.
 */
export function loadLibc(): LibcOutcome {
  outcome ??= load();
  return outcome;
}

function load(): LibcOutcome {
  if (process.env.MILLRACE_NO_NATIVE === '1') return { missing: 'MILLRACE_NO_NATIVE is set' };
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    type Call = (...args: unknown[]) => number;
    // fcntl is variadic in C: declared so, because some ABIs pass variadic arguments differently
    const fcntl = library.func('int fcntl(int fd, int cmd, ...)') as Call;
    const set = library.func(
      'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
    ) as Call;
    const open = library.func('int socket(int domain, int type, int protocol)') as Call;
    const send = library.func(
      'long sendto(int fd, void *bytes, size_t length, int flags, void *address, uint32_t addressLength)',
    ) as Call;
    const errno = (status: number): number => (status === 0 ? 0 : koffi.errno());
    return {
      libc: {
        fcntlLock: (fd, command, flock) => errno(fcntl(fd, command, 'void *', flock)),
        setsockopt: (fd, level, option, value) => errno(set(fd, level, option, value, value.byteLength)),
        sendUnixDatagram(address, bytes) {
          const fd = open(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
          if (fd < 0) return koffi.errno();
          const sent = send(fd, bytes, bytes.byteLength, MSG_NOSIGNAL, address, address.byteLength);
          const status = sent < 0 ? koffi.errno() : 0;
          closeSync(fd);
          return status;
        },
      },
    };
  } catch (error) {
    return { missing: `koffi cannot be loaded: ${why(error)}` };
  }
}

/** `EBADF` for 9. */
export function errnoName(errno: number): string {
  return getSystemErrorName(-errno);
}
