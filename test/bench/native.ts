/**
 * Socket calls that Node lacks, through koffi: an option, and a socket whose calls block, so that a round trip
 * is measured without an event loop in it.
 */
import { createRequire } from 'node:module';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const library = koffi.load(null);
type Call = (...args: unknown[]) => number;
const socket = library.func('int socket(int domain, int type, int protocol)') as Call;
const connect = library.func('int connect(int fd, void *address, uint32_t length)') as Call;
const send = library.func('long send(int fd, void *bytes, size_t length, int flags)') as Call;
const recv = library.func('long recv(int fd, void *bytes, size_t length, int flags)') as Call;
const setsockopt = library.func(
  'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
) as Call;
const close = library.func('int close(int fd)') as Call;

const ipprotoTcp = 6;
const tcpNoDelay = 1;
const tcpQuickAck = 12;
const msgWaitAll = 0x100;
const msgNoSignal = 0x4000;
const afInet = 2;
const sockStream = 1;

/** Integers of the host's byte order, as the C library takes options and addresses. */
const one = new Uint8Array(Int32Array.of(1).buffer);

/**
 * Acknowledges what has come on socket `fd` at once. The system forgets the wish, so it is asked for after each
 * read. Source: tcp(7), TCP_QUICKACK.
 */
export function acknowledgeNow(fd: number): void {
  setsockopt(fd, ipprotoTcp, tcpQuickAck, one, one.length);
}

/** A TCP connection to this host, with TCP_NODELAY, whose calls return when they are done. */
export class BlockingSocket {
  readonly #fd: number;

  constructor(port: number) {
    this.#fd = socket(afInet, sockStream, 0);
    const address = Buffer.alloc(16);
    address.set(new Uint8Array(Uint16Array.of(afInet).buffer), 0);
    address.writeUInt16BE(port, 2);
    address.set([127, 0, 0, 1], 4);
    if (connect(this.#fd, address, address.length) !== 0) throw this.#failed('connect');
    setsockopt(this.#fd, ipprotoTcp, tcpNoDelay, one, one.length);
  }

  send(bytes: Buffer): void {
    // A blocking send takes everything, unless a signal interrupts it: this process handles none.
    if (send(this.#fd, bytes, bytes.length, msgNoSignal) !== bytes.length) throw this.#failed('send');
  }

  /** Fills `into`. */
  receive(into: Buffer): Buffer {
    if (recv(this.#fd, into, into.length, msgWaitAll) !== into.length) throw this.#failed('recv');
    return into;
  }

  ask(message: Buffer, replyBytes: number): Buffer {
    this.send(message);
    return this.receive(Buffer.alloc(replyBytes));
  }

  close(): void {
    close(this.#fd);
  }

  #failed(what: string): Error {
    return new Error(`${what} failed or was cut short, errno ${koffi.errno()}`);
  }
}
