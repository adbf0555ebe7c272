/**
 * What Linux can do with a file that has holes, and Node cannot: find them, and make them. Source: lseek(2),
 * fallocate(2). Where it is missing (`openSparseCalls` gives undefined) callers
 * take everything for data and write zeroes out.
 */
import { getSystemErrorName } from 'node:util';
import { type Libc, loadLibc } from './libc.ts';

const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const FALLOC_FL_ZERO_RANGE = 0x10;
const ENXIO = 6;

/** Calls on a descriptor; offsets and lengths in bytes. */
export class SparseCalls {
  readonly #libc: Libc;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** The size of a file or block device. Throws the system's error. */
  sizeOf(fd: number): number {
    const size = this.#libc.lseek(fd, 0, SEEK_END);
    if (size < 0) throw systemError('lseek', -size);
    return size;
  }

  /** Where the next data begins at or behind `offset`; undefined: only a hole follows. Throws the system's error. */
  nextData(fd: number, offset: number): number | undefined {
    const found = this.#libc.lseek(fd, offset, SEEK_DATA);
    if (found === -ENXIO) return undefined;
    if (found < 0) throw systemError('lseek', -found);
    return found;
  }

  /** Where the data that `offset` lies in ends. Throws the system's error. */
  nextHole(fd: number, offset: number): number {
    const found = this.#libc.lseek(fd, offset, SEEK_HOLE);
    if (found < 0) throw systemError('lseek', -found);
    return found;
  }

  /** Brings what `nextData` at `offset` needs into memory, without holding up anybody. */
  async prepare(fd: number, offset: number): Promise<void> {
    await this.#libc.lseekAsync(fd, offset, SEEK_DATA);
  }

  /** Begins to read a range into memory; a hint. */
  readAhead(fd: number, offset: number, length: number): void {
    this.#libc.readAhead(fd, offset, length);
  }

  /** Makes a hole, which reads as zeroes. Rejects with the system's error, EOPNOTSUPP where there are no holes. */
  async punch(fd: number, offset: number, length: number): Promise<void> {
    await this.#allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }

  /** Zeroes a range and keeps its space allocated. Rejects as `punch`. */
  async zero(fd: number, offset: number, length: number): Promise<void> {
    await this.#allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
  }

  async #allocate(fd: number, mode: number, offset: number, length: number): Promise<void> {
    const errno = await this.#libc.fallocate(fd, mode, offset, length);
    if (errno !== 0) throw systemError('fallocate', errno);
  }
}

/** The calls of this system, or undefined where they cannot be had: koffi is not installed, or a 32-bit system. */
export function openSparseCalls(): SparseCalls | undefined {
  const { libc } = loadLibc();
  const is64Bit = process.arch === 'x64' || process.arch === 'arm64';
  return libc !== undefined && is64Bit ? new SparseCalls(libc) : undefined;
}

function systemError(call: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${call}`), { code, errno: -errno, syscall: call });
}
