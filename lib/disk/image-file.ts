/** An image's descriptor: opened, locked, measured, and read and written whole. Nothing here orders requests. */
import {
  close as closeFile,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  read as readFile,
  readSync,
  write as writeFile,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { MillraceError, why } from '../errors.ts';
import { openRangeLocks } from '../os/range-locks.ts';
import { openSparseCalls, type SparseCalls } from '../os/sparse-file.ts';
import { tell } from '../telemetry.ts';
import type { DataRun } from './allocation-map.ts';

/** How to open an image. */
export interface ImageFileOptions {
  /** Opened for reading, and shared with others who do the same. */
  readOnly?: boolean;
  /** Creates the file, or cuts or extends the one there is, to so many bytes. */
  createBytes?: number;
  /** Nothing of what was in it stays. */
  isEmptied?: boolean;
}

const readAt = promisify(readFile) as unknown as IoCall;
const writeAt = promisify(writeFile) as unknown as IoCall;
const syncData = promisify(fdatasync);
const closeNow = promisify(closeFile);
type IoCall = (
  fd: number,
  bytes: Buffer,
  start: number,
  length: number,
  offset: number,
) => Promise<{ bytesRead?: number; bytesWritten?: number }>;

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** See the file's head. Lengths and offsets in bytes; memory is borrowed until the call returns or settles. */
export class ImageFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly fd: number;
  /** Calls for holes and cached reads, where there are any. */
  readonly calls: SparseCalls | undefined;
  #closed = false;

  /** Errors: MR_ERR_IMAGE_OPEN; MR_ERR_IMAGE_IN_USE: somebody else holds the lock that keeps others out. */
  constructor(path: string, { readOnly = false, createBytes, isEmptied = false }: ImageFileOptions = {}) {
    this.path = path;
    this.readOnly = readOnly;
    this.calls = openSparseCalls();
    const create = createBytes === undefined ? 0 : constants.O_CREAT;
    try {
      this.fd = openSync(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | create, 0o666);
    } catch (cause) {
      throw new MillraceError('MR_ERR_IMAGE_OPEN', { path, why: why(cause) }, { cause });
    }
    try {
      this.#lock();
      if (createBytes !== undefined && fstatSync(this.fd).isFile()) {
        if (isEmptied) ftruncateSync(this.fd, 0);
        ftruncateSync(this.fd, createBytes);
      }
      this.measure();
    } catch (cause) {
      closeFile(this.fd);
      if (cause instanceof MillraceError) throw cause;
      throw new MillraceError('MR_ERR_IMAGE_OPEN', { path, why: why(cause) }, { cause });
    }
  }

  /** One lock on the whole image keeps out every program that asks. */
  #lock(): void {
    const locks = openRangeLocks();
    if (locks === undefined) return;
    let locked: boolean;
    try {
      locked = locks.tryLock(this.fd, this.readOnly ? 'shared' : 'exclusive', 0, 0);
    } catch (error) {
      tell('warn', 'disk:image-not-locked', `${this.path} is served without a lock: ${why(error)}`);
      return;
    }
    if (!locked) throw new MillraceError('MR_ERR_IMAGE_IN_USE', { path: this.path });
  }

  /** Bytes of the file or block device now. Errors: MR_ERR_IMAGE_OPEN. */
  measure(): number {
    const found = fstatSync(this.fd);
    if (found.isFile()) return found.size;
    const what = found.isBlockDevice()
      ? 'a block device, whose size needs koffi'
      : 'no file and no block device';
    if (found.isBlockDevice() && this.calls !== undefined) return this.calls.sizeOf(this.fd);
    throw new MillraceError('MR_ERR_IMAGE_OPEN', { path: this.path, why: what });
  }

  /** Reads all of the range, on a pool thread. Errors: MR_ERR_DISK_READ, MR_ERR_IMAGE_SHORT. */
  async read(bytes: Buffer, start: number, length: number, offset: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesRead = 0 } = await readAt(
        this.fd,
        bytes,
        start + done,
        length - done,
        offset + done,
      ).catch((cause: unknown) => {
        throw this.#readError(cause);
      });
      if (bytesRead === 0) throw this.#short(offset + done);
      done += bytesRead;
    }
  }

  /** The same at once. */
  readNow(bytes: Buffer, start: number, length: number, offset: number): void {
    for (let done = 0; done < length; ) {
      let got: number;
      try {
        got = readSync(this.fd, bytes, start + done, length - done, offset + done);
      } catch (cause) {
        throw this.#readError(cause);
      }
      if (got === 0) throw this.#short(offset + done);
      done += got;
    }
  }

  /** Writes all of the range, on a pool thread. Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE. */
  async write(bytes: Buffer, start: number, length: number, offset: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesWritten = 0 } = await writeAt(
        this.fd,
        bytes,
        start + done,
        length - done,
        offset + done,
      ).catch((cause: unknown) => {
        throw this.writeError(cause);
      });
      done += bytesWritten;
    }
  }

  /** The same at once. */
  writeNow(bytes: Buffer, start: number, length: number, offset: number): void {
    try {
      for (let done = 0; done < length; )
        done += writeSync(this.fd, bytes, start + done, length - done, offset + done);
    } catch (cause) {
      throw this.writeError(cause);
    }
  }

  /** Makes what was written durable. Errors: MR_ERR_DISK_FULL, MR_ERR_DISK_WRITE. */
  async sync(): Promise<void> {
    if (this.readOnly) return;
    await syncData(this.fd).catch((cause: unknown) => {
      throw this.writeError(cause);
    });
  }

  /** Finds data, as an `ExtentSource`. Rejects where the system does not say. */
  async findData(from: number, to: number, most: number): Promise<{ runs: DataRun[]; next: number }> {
    const { calls, fd } = this;
    if (calls === undefined) throw new Error('koffi is missing');
    await calls.prepare(fd, from);
    if (this.#closed) throw new Error('closed');
    const runs: DataRun[] = [];
    let at = from;
    while (at < to && runs.length < most) {
      const start = calls.nextData(fd, at);
      if (start === undefined || start >= to) return { runs, next: to };
      at = Math.min(calls.nextHole(fd, start), to);
      runs.push({ start, end: at });
    }
    return { runs, next: at };
  }

  /** Closes the descriptor; the lock goes with it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeNow(this.fd);
  }

  writeError(cause: unknown): MillraceError {
    const { path } = this;
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    if (fullCodes.has(code)) return new MillraceError('MR_ERR_DISK_FULL', { path, what: 'image' }, { cause });
    return new MillraceError('MR_ERR_DISK_WRITE', { path, why: why(cause) }, { cause });
  }

  #readError(cause: unknown): MillraceError {
    return new MillraceError('MR_ERR_DISK_READ', { path: this.path, why: why(cause) }, { cause });
  }

  #short(offset: number): MillraceError {
    return new MillraceError('MR_ERR_IMAGE_SHORT', { path: this.path, offset });
  }
}
