/**
 * The calls of the C library that Node does not make for us, through koffi (an optional dependency with
 * prebuilt binaries). Loaded at first use. A call returns 0 or the system's error number: nothing throws here.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { why } from '../errors.ts';

/** C calls; `flock` is the 32-byte `struct flock`, `value` an option's value in the host's byte order. */
export interface Libc {
  fcntlLock(fd: number, command: number, flock: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** Bytes of the file as far as they lie in memory already (RWF_NOWAIT), or the negative error number. */
  readCached(fd: number, bytes: Buffer, start: number, length: number, offset: number): number;
  /** Bytes that the socket took without waiting, or the negative error number. */
  sendNow(fd: number, bytes: Buffer, start: number, length: number): number;
  /** Offset found, or the negative error number. The position it moves is used by nobody. */
  lseek(fd: number, offset: number, whence: number): number;
  /** Likewise on a pool thread; resolves when what it needed of the disk is in memory. */
  lseekAsync(fd: number, offset: number, whence: number): Promise<void>;
  /** Begun on a pool thread; what comes of it interests nobody. */
  readAhead(fd: number, offset: number, length: number): void;
  /** On a pool thread. */
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<number>;
  /** Sends one datagram from a socket of its own, without waiting; `address` is a whole `struct sockaddr_un`. */
  sendUnixDatagram(address: Uint8Array, bytes: Uint8Array): number;
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const RWF_NOWAIT = 8;
const POSIX_FADV_WILLNEED = 3;

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
    type Async = { async(...args: unknown[]): void };
    // fcntl is variadic in C: declared so, because some ABIs pass variadic arguments differently
    const fcntl = library.func('int fcntl(int fd, int cmd, ...)') as Call;
    const set = library.func(
      'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
    ) as Call;
    const open = library.func('int socket(int domain, int type, int protocol)') as Call;
    const send = library.func(
      'long sendto(int fd, void *bytes, size_t length, int flags, void *address, uint32_t addressLength)',
    ) as Call;
    const sendBytes = library.func('long send(int fd, uintptr_t bytes, size_t length, int flags)') as Call;
    const preadv2 = library.func(
      'long preadv2(int fd, void *ranges, int count, int64_t offset, int flags)',
    ) as Call;
    const seek = library.func('int64_t lseek(int fd, int64_t offset, int whence)') as Call & Async;
    const advise = library.func(
      'int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)',
    ) as Call & Async;
    const allocate = library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as Call &
      Async;
    const errno = (status: number): number => (status === 0 ? 0 : koffi.errno());
    /** Where the memory of buffers lies; it never moves, and looking it up costs as much as a read. */
    const addresses = new WeakMap<ArrayBufferLike, number>();
    const addressOf = ({ buffer }: Buffer): number => {
      let address = addresses.get(buffer);
      if (address === undefined) {
        address = Number(koffi.address(new Uint8Array(buffer)));
        addresses.set(buffer, address);
      }
      return address;
    };
    /** `struct iovec` on 64-bit systems, in halves: 64-bit integers would be made for each call. */
    const range = new Uint32Array(4);
    const [low, high] = endianness() === 'LE' ? [0, 1] : [1, 0];
    return {
      libc: {
        fcntlLock: (fd, command, flock) => errno(fcntl(fd, command, 'void *', flock)),
        setsockopt: (fd, level, option, value) => errno(set(fd, level, option, value, value.byteLength)),
        readCached(fd, bytes, start, length, offset) {
          const into = addressOf(bytes) + bytes.byteOffset + start;
          range[low] = into;
          range[high] = into / 0x1_0000_0000;
          range[2 + low] = length;
          range[2 + high] = length / 0x1_0000_0000;
          const got = preadv2(fd, range, 1, offset, RWF_NOWAIT);
          return got < 0 ? -koffi.errno() : got;
        },
        sendNow(fd, bytes, start, length) {
          const from = addressOf(bytes) + bytes.byteOffset + start;
          const sent = sendBytes(fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL);
          return sent < 0 ? -koffi.errno() : sent;
        },
        lseek(fd, offset, whence) {
          const found = seek(fd, offset, whence);
          return found < 0 ? -koffi.errno() : found;
        },
        lseekAsync: (fd, offset, whence) =>
          new Promise((resolve) => {
            seek.async(fd, offset, whence, () => resolve());
          }),
        readAhead: (fd, offset, length) =>
          advise.async(fd, offset, length, POSIX_FADV_WILLNEED, () => undefined),
        fallocate: (fd, mode, offset, length) =>
          new Promise((resolve, reject) => {
            allocate.async(fd, mode, offset, length, (error: unknown, status: number) => {
              if (error) reject(error as Error);
              // the error number belongs to the other thread: asked for again on this one, where it is rare
              else resolve(status === 0 ? 0 : errno(allocate(fd, mode, offset, length)));
            });
          }),
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
